/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* IP addresses and networks of addresses. An IPv4 address is the same as the IPv6 address that it is mapped to
 * (::ffff:a.b.c.d). */

#include <netinet/in.h>

#include "shared/util.h"

#define NETWORKS_MAX 64

typedef struct Network {
        struct in6_addr address;
        unsigned bits; /* of 128 */
} Network;

typedef struct Networks {
        size_t n;
        Network items[NETWORKS_MAX];
} Networks;

/* -EINVAL unless s is an address, without port, brackets or zone. */
int address_parse(const char *s, struct in6_addr *ret);
/* An IPv4 address in its own form. */
void address_format(const struct in6_addr *a, char ret[static INET6_ADDRSTRLEN]);

bool address_is_loopback(const struct in6_addr *a);

/* "192.0.2.1", "10.0.0.0/8", "2001:db8::/32", separated by blanks or commas; "none" is the empty list. -EINVAL when it is
 * something else, -E2BIG when there are too many. */
int networks_parse(const char *s, Networks *ret);
bool networks_contain(const Networks *n, const struct in6_addr *a);

/* Whether the host of a URL, without brackets, is this machine's loopback: "localhost" or an address, not a name that begins like
 * one. */
bool host_is_loopback(const char *host);

#define NETWORK_MAX 64

/* Writes the network of a client, which limits count instead of its address, of which an IPv6 client has 2^64: in CIDR
 * notation, a /64 for IPv6 and a /32 for IPv4; ::1 counts as 127.0.0.1. The empty string for anything else, such as the peer of a Unix socket.
 * address may be NULL. */
void network_of(const char *address, char ret[static NETWORK_MAX]);
