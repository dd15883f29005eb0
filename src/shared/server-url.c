/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>

#include "shared/network.h"
#include "shared/server-url.h"

#define HOST_MAX 253

static int parse_port(const char *s, uint16_t *ret)
{
        unsigned v;

        if (parse_unsigned(s, UINT16_MAX, &v) < 0 || v == 0)
                return -EINVAL;
        *ret = (uint16_t) v;
        return 0;
}

static bool host_is_valid(const char *s)
{
        if (*s == '\0' || strlen(s) > HOST_MAX || *s == '-' || *s == '.')
                return false;
        for (; *s; s++)
                if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
                      strchr("-._", *s)))
                        return false;
        return true;
}

/* Splits "host", "host:port", "[address]" or "[address]:port". *ret_port is the text after the colon, or NULL. */
static int split_authority(char *s, char **ret_host, char **ret_port)
{
        char *port;

        if (*s == '[') {
                char *end = strchr(s, ']');
                struct in6_addr a;

                if (!end || (end[1] != '\0' && end[1] != ':'))
                        return -EINVAL;
                port = end[1] == ':' ? end + 2 : NULL;
                *end = '\0';
                if (inet_pton(AF_INET6, s + 1, &a) != 1)
                        return -EINVAL;
                *ret_host = s + 1;
        } else {
                port = strchr(s, ':');
                if (port)
                        *port++ = '\0';
                if (!host_is_valid(s))
                        return -EINVAL;
                *ret_host = s;
        }
        *ret_port = port;
        return 0;
}

static const char *skip_scheme(const char *s, bool *ret_tls)
{
        static const struct {
                const char *prefix;
                bool tls;
        } schemes[] = {
                { "https://", true },
                { "wss://", true },
                { "http://", false },
                { "ws://", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(schemes); i++) {
                const char *rest = startswith(s, schemes[i].prefix);

                if (rest) {
                        *ret_tls = schemes[i].tls;
                        return rest;
                }
        }
        return NULL;
}

int server_url_parse(const char *s, ServerUrl *ret)
{
        _cleanup_free_ char *copy = NULL;
        char *host, *port;
        unsigned char buffer[sizeof(struct in6_addr)];
        ServerUrl u = {};
        const char *rest;
        size_t n;
        int r;

        rest = skip_scheme(s, &u.tls);
        if (!rest)
                return -EINVAL;
        n = strcspn(rest, "/");
        if (rest[n] != '\0' && !streq(rest + n, "/"))
                return -EINVAL;
        copy = strndup(rest, n);
        if (!copy)
                return -ENOMEM;
        r = split_authority(copy, &host, &port);
        if (r < 0)
                return r;
        u.port = u.tls ? 443 : 80;
        if (port) {
                r = parse_port(port, &u.port);
                if (r < 0)
                        return r;
        }
        if (!u.tls && !host_is_loopback(host))
                return -EPERM;
        u.is_address = inet_pton(AF_INET, host, buffer) == 1 || inet_pton(AF_INET6, host, buffer) == 1;
        u.host = strdup(host);
        u.authority = strndup(rest, n);
        if (!u.host || !u.authority) {
                server_url_done(&u);
                return -ENOMEM;
        }
        *ret = u;
        return 0;
}

void server_url_done(ServerUrl *u)
{
        free(u->host);
        free(u->authority);
        *u = (ServerUrl){};
}

const char *server_url_fault(int error)
{
        switch (error) {
        case -EPERM:
                return "A remote server requires https://: results and keys must be encrypted.";
        case -EINVAL:
                return "The server's address looks like https://host or https://host:port.";
        default:
                return NULL;
        }
}
