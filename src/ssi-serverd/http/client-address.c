/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http/internal.h"
#include "shared/network.h"

/* Whose address counts: that of the last hop that is not a trusted proxy. Each proxy appends the address of its own peer to
 * X-Forwarded-For, so the list is read from its end, and only for as long as a trusted proxy has written what is read. */

static bool is_trusted(const HttpServer *s, const char *address)
{
        struct in6_addr a;

        /* A Unix socket is for a proxy on this machine. */
        if (streq(address, "local"))
                return true;
        return s->proxies && address_parse(address, &a) >= 0 && networks_contain(s->proxies, &a);
}

bool peer_is_loopback(const char *peer)
{
        struct in6_addr a;

        return address_parse(peer, &a) >= 0 && address_is_loopback(&a);
}

/* A node of RFC 7239 that is an address, with or without the port that some proxies add: "192.0.2.1:4711", "[2001:db8::1]:4711". Without
 * brackets, an IPv6 address has no port. */
static int node_parse(char *s, struct in6_addr *ret)
{
        char *port = *s == '[' ? strchr(s, ']') : strchr(s, ':');

        if (*s == '[') {
                if (!port)
                        return -EINVAL;
                *port++ = '\0';
                if (!strchr(++s, ':'))
                        return -EINVAL;
        } else if (!port || strchr(port + 1, ':'))
                return address_parse(s, ret);
        if (*s != '\0' && *port == ':') {
                size_t n = strspn(port + 1, "0123456789");

                if (n == 0 || n > 5 || port[1 + n] != '\0')
                        return -EINVAL;
        } else if (*port != '\0')
                return -EINVAL;
        *port = '\0';
        return address_parse(s, ret);
}

/* Cuts the last element off the list, or returns false when there is none or it is not an address. */
static bool take_last(char *list, char ret[static INET6_ADDRSTRLEN])
{
        char *comma = strrchr(list, ','), *last = comma ? comma + 1 : list;
        struct in6_addr a;
        bool taken;

        last += strspn(last, " \t");
        last[strcspn(last, " \t")] = '\0';
        taken = node_parse(last, &a) >= 0;
        if (taken)
                address_format(&a, ret);
        *(comma ?: list) = '\0';
        return taken;
}

/* forwarded: the value of X-Forwarded-For, or NULL; is modified. */
int client_address(const HttpServer *s, const char *peer, char *forwarded, char **ret)
{
        char address[INET6_ADDRSTRLEN];
        const char *client = peer;

        while (forwarded && *forwarded && is_trusted(s, client) && take_last(forwarded, address))
                client = address;
        *ret = strdup(client);
        return *ret ? 0 : -ENOMEM;
}

int http_server_set_trusted_proxies(HttpServer *s, const char *list)
{
        _cleanup_free_ Networks *proxies = calloc(1, sizeof(*proxies));
        int r;

        if (!proxies)
                return -ENOMEM;
        r = networks_parse(strempty(list), proxies);
        if (r < 0)
                return r;
        free(s->proxies);
        s->proxies = TAKE_PTR(proxies);
        return 0;
}
