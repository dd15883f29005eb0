/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Decides which addresses the backend may contact on behalf of a user. Checks the resolved address at the
 * time of the connection: a name that is checked beforehand may resolve to something else the next time. */

#include <sys/socket.h>

#include "shared/util.h"

/* Whether the address is on the public Internet: not of this machine, a private or local network, or shared
 * between carriers, and not for documentation, multicast or reserved (the IANA special-purpose address
 * registries, RFC 6890). An IPv4 address embedded in an IPv6 one (mapped, NAT64, 6to4) is checked as
 * IPv4. */
bool address_is_public(const struct sockaddr *address);
