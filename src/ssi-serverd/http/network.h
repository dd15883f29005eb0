/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The network of a client: what limits count instead of single addresses, of which an IPv6 client has 2^64. */

#define NETWORK_MAX 64

/* Writes the network in CIDR notation: a /64 for IPv6, a /32 for IPv4 and for IPv4 in IPv6 (::ffff:192.0.2.1). The
 * empty string for anything else, such as the peer of a Unix socket. address may be NULL. */
void network_of(const char *address, char ret[static NETWORK_MAX]);
