/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http/internal.h"
#include "shared/network.h"

/* What RFC 9112 forbids and libwebsockets passes on. Two readers of one message, a proxy and we, must not understand it
 * differently: so what is ambiguous is refused.
 *
 * libwebsockets keeps each line of a header that it knows as a fragment, and all others under the lower-case text before
 * their colon. What it changes before anybody can look is beyond us: it decodes and normalises the path, drops a bare CR,
 * and takes a folded line for a header of its own. */

#define VALUE_MAX 8192

/* Whether the header has an i-th line, even an empty one. */
static bool has_line(struct lws *wsi, enum lws_token_indexes header, int i)
{
        char buffer[VALUE_MAX];

        return lws_hdr_fragment_length(wsi, header, i) > 0 ||
               lws_hdr_copy_fragment(wsi, buffer, sizeof(buffer), header, i) >= 0;
}

/* A header that others may take for the one without the blanks: "content-length :", or a line that is folded. */
static bool is_disguised(struct lws *wsi, const char *name)
{
        static const char *const around[][2] = {
                { "", " " }, { "", "\t" }, { " ", "" }, { "\t", "" }, { " ", " " }, { "\t", " " }, { "", "  " },
        };

        for (size_t i = 0; i < ELEMENTSOF(around); i++) {
                char disguise[64];
                int n = snprintf(disguise, sizeof(disguise), "%s%s%s:", around[i][0], name, around[i][1]);

                if (lws_hdr_custom_length(wsi, disguise, n) >= 0)
                        return true;
        }
        return false;
}

/* uri-host [ ":" port ], RFC 3986. */
static bool host_is_valid(const char *s)
{
        return *s &&
               s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=:[]")] ==
                       '\0';
}

static bool version_is(struct lws *wsi, const char *version)
{
        char buffer[16];

        return lws_hdr_copy(wsi, buffer, sizeof(buffer), WSI_TOKEN_HTTP) > 0 && streq(buffer, version);
}

bool message_is_valid(struct lws *wsi)
{
        /* Those that delimit the message, and those that we read. */
        static const char *const names[] = {
                "content-length", "transfer-encoding", "host",         "connection",
                "upgrade",        "authorization",     "content-type", "cookie",
                "expect",         "if-none-match",     "user-agent",   "x-forwarded-for",
        };
        char host[512];
        bool modern = version_is(wsi, "HTTP/1.1");

        if (!modern && !version_is(wsi, "HTTP/1.0"))
                return false;
        if (has_line(wsi, WSI_TOKEN_HOST, 1))
                return false;
        if (has_line(wsi, WSI_TOKEN_HOST, 0) || modern)
                if (lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) <= 0 || !host_is_valid(host))
                        return false;
        if (has_line(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, 1))
                return false;
        if (has_line(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING, 0) &&
            (!modern || has_line(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, 0)))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (is_disguised(wsi, names[i]))
                        return false;
        return true;
}

/* Headers that proxies, load balancers and networks of caches add. */
static const char *const proxy_headers[] = {
        "cdn-loop:",
        "cf-connecting-ip:",
        "cf-connecting-ipv6:",
        "cf-ray:",
        "cf-visitor:",
        "client-ip:",
        "fastly-client-ip:",
        "fastly-ff:",
        "fly-client-ip:",
        "forwarded:",
        "forwarded-for:",
        "front-end-https:",
        "proxy-client-ip:",
        "true-client-ip:",
        "wl-proxy-client-ip:",
        "x-appengine-user-ip:",
        "x-arr-log-id:",
        "x-arr-ssl:",
        "x-azure-clientip:",
        "x-azure-socketip:",
        "x-client-ip:",
        "x-cluster-client-ip:",
        "x-coming-from:",
        "x-envoy-external-address:",
        "x-envoy-internal:",
        "x-forward-for:",
        "x-forwarded:",
        "x-forwarded-access-token:",
        "x-forwarded-by:",
        "x-forwarded-client-cert:",
        "x-forwarded-client-ip:",
        "x-forwarded-context:",
        "x-forwarded-email:",
        "x-forwarded-for-original:",
        "x-forwarded-groups:",
        "x-forwarded-host:",
        "x-forwarded-https:",
        "x-forwarded-ip:",
        "x-forwarded-method:",
        "x-forwarded-path:",
        "x-forwarded-port:",
        "x-forwarded-prefer:",
        "x-forwarded-preferred-username:",
        "x-forwarded-prefix:",
        "x-forwarded-proto:",
        "x-forwarded-protocol:",
        "x-forwarded-roles:",
        "x-forwarded-scheme:",
        "x-forwarded-server:",
        "x-forwarded-ssl:",
        "x-forwarded-tls-client-cert:",
        "x-forwarded-tls-client-cert-info:",
        "x-forwarded-uri:",
        "x-forwarded-url:",
        "x-forwarded-user:",
        "x-haproxy-server-state:",
        "x-http-via:",
        "x-original-forwarded-for:",
        "x-original-host:",
        "x-original-remote-addr:",
        "x-original-uri:",
        "x-original-url:",
        "x-originating-ip:",
        "x-proxyuser-ip:",
        "x-real-ip:",
        "x-real-port:",
        "x-remote-addr:",
        "x-remote-ip:",
        "x-rewrite-url:",
        "x-scheme:",
        "x-ssl:",
        "x-true-client-ip:",
        "x-url-scheme:",
        "x-varnish:",
};

/* An empty one counts, too. */
static bool is_forwarded(struct lws *wsi)
{
        if (has_line(wsi, WSI_TOKEN_X_FORWARDED_FOR, 0) || has_line(wsi, WSI_TOKEN_HTTP_VIA, 0) ||
            has_line(wsi, WSI_TOKEN_HTTP_X_REAL_IP, 0))
                return true;
        if (is_disguised(wsi, "via") || is_disguised(wsi, "x-real-ip"))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(proxy_headers); i++)
                if (lws_hdr_custom_length(wsi, proxy_headers[i], (int) strlen(proxy_headers[i])) >= 0)
                        return true;
        return false;
}

/* A proxy asks for the site that it stands for, unless it replaces the name; so does a browser that somebody's page has led here by
 * giving its own name the address 127.0.0.1. */
static bool asks_for_loopback(struct lws *wsi)
{
        char host[512], *end;

        if (lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) <= 0)
                return false;
        if (*host == '[') {
                end = strchr(host, ']');
                if (!end)
                        return false;
                *end = '\0';
                return host_is_loopback(host + 1);
        }
        host[strcspn(host, ":")] = '\0';
        return host_is_loopback(host);
}

/* libwebsockets 4.1 does not list the headers that it does not know, and finds them by their whole names only. So the list cannot
 * be complete, and the Host has to fit, too. */
bool message_is_direct(struct lws *wsi)
{
        return asks_for_loopback(wsi) && !is_forwarded(wsi);
}
