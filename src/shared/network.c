/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>

#include "shared/network.h"

#define SEPARATORS  " \t,"
#define NETWORK_MAX 64 /* bytes of text */

int address_parse(const char *s, struct in6_addr *ret)
{
        struct in6_addr a = {};

        if (inet_pton(AF_INET, s, &a.s6_addr[12]) == 1)
                a.s6_addr[10] = a.s6_addr[11] = 0xff;
        else if (inet_pton(AF_INET6, s, &a) != 1)
                return -EINVAL;
        *ret = a;
        return 0;
}

void address_format(const struct in6_addr *a, char ret[static INET6_ADDRSTRLEN])
{
        if (IN6_IS_ADDR_V4MAPPED(a))
                (void) inet_ntop(AF_INET, &a->s6_addr[12], ret, INET6_ADDRSTRLEN);
        else
                (void) inet_ntop(AF_INET6, a, ret, INET6_ADDRSTRLEN);
}

bool address_is_loopback(const struct in6_addr *a)
{
        return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

bool host_is_loopback(const char *host)
{
        struct in6_addr a;

        return address_parse(host, &a) >= 0 ? address_is_loopback(&a) : strcasecmp(host, "localhost") == 0;
}

static int network_parse(const char *s, size_t n, Network *ret)
{
        char text[NETWORK_MAX], *slash;
        Network network = { .bits = 128 };
        bool is_ipv4;
        int r;

        if (n >= sizeof(text))
                return -EINVAL;
        memcpy(text, s, n);
        text[n] = '\0';
        slash = strchr(text, '/');
        if (slash)
                *slash++ = '\0';
        r = address_parse(text, &network.address);
        if (r < 0)
                return r;
        is_ipv4 = !strchr(text, ':');
        if (slash) {
                r = parse_unsigned(slash, is_ipv4 ? 32 : 128, &network.bits);
                if (r < 0)
                        return r;
                network.bits += is_ipv4 ? 96 : 0;
        }
        *ret = network;
        return 0;
}

int networks_parse(const char *s, Networks *ret)
{
        Networks list = {};

        s += strspn(s, SEPARATORS);
        if (streq(s, "none"))
                s += strlen("none");
        while (*s) {
                size_t n = strcspn(s, SEPARATORS);
                int r;

                if (list.n >= NETWORKS_MAX)
                        return -E2BIG;
                r = network_parse(s, n, &list.items[list.n++]);
                if (r < 0)
                        return r;
                s += n;
                s += strspn(s, SEPARATORS);
        }
        *ret = list;
        return 0;
}

static bool network_contains(const Network *n, const struct in6_addr *a)
{
        unsigned bytes = n->bits / 8, rest = n->bits % 8;

        return memcmp(a->s6_addr, n->address.s6_addr, bytes) == 0 &&
               (rest == 0 || (a->s6_addr[bytes] ^ n->address.s6_addr[bytes]) >> (8 - rest) == 0);
}

bool networks_contain(const Networks *n, const struct in6_addr *a)
{
        for (size_t i = 0; i < n->n; i++)
                if (network_contains(&n->items[i], a))
                        return true;
        return false;
}

void network_of(const char *address, char ret[static NETWORK_MAX])
{
        char text[INET6_ADDRSTRLEN];
        struct in6_addr a;
        bool is_ipv4;

        ret[0] = '\0';
        if (!address || address_parse(address, &a) < 0)
                return;
        if (IN6_IS_ADDR_LOOPBACK(&a))
                (void) address_parse("127.0.0.1", &a);
        is_ipv4 = IN6_IS_ADDR_V4MAPPED(&a);
        if (!is_ipv4)
                memset(a.s6_addr + 8, 0, 8);
        address_format(&a, text);
        snprintf(ret, NETWORK_MAX, "%s/%d", text, is_ipv4 ? 32 : 64);
}
