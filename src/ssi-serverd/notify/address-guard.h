/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whom the backend may call on behalf of a user. Judged by the address that a name resolved to, when it is connected
 * to: a name that is judged beforehand may resolve to something else the next time. */

#include <sys/socket.h>

#include "shared/util.h"

/* Whether it is an address of the public Internet: not of this machine, of a private or local network, shared between
 * carriers, for documentation, multicast or reserved (the IANA special-purpose address registries, RFC 6890). An IPv4
 * address inside an IPv6 one (mapped, NAT64, 6to4) is judged as such. */
bool address_is_public(const struct sockaddr *address);
