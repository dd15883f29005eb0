/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <netinet/tcp.h>
#include <time.h>

#include "net-internal.h"
#include "shared/time-util.h"

/* A NetConn is kept alive by its owner until net_conn_close() or closed(), by lws while there is a wsi, and by each
 * callback in progress. conn_unref() checks all of these. */

static void conn_free(NetConn *c)
{
        for (NetConn **p = &c->net->conns; *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        break;
                }
        net_unwatch(c);
        resolve_cancel(c->resolve);
        if (c->addresses)
                freeaddrinfo(c->addresses);
        free(c->host);
        free(c->authority);
        free(c->path);
        free(c->body);
        free(c->rx);
        free(c);
}

void conn_unref(NetConn *c)
{
        if (c->detached && !c->connecting && !c->wsi && c->callbacks == 0)
                conn_free(c);
}

void conn_over(NetConn *c, unsigned code, const char *reason)
{
        if (c->detached || c->over)
                return;
        c->over = true;
        c->ops->closed(code, reason, c->userdata);
}

static bool is_loopback(const struct sockaddr *sa)
{
        if (sa->sa_family == AF_INET)
                return ntohl(((const struct sockaddr_in *) sa)->sin_addr.s_addr) >> 24 == 127;
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) sa)->sin6_addr);
}

static int connect_address(NetConn *c, const struct sockaddr *sa)
{
        char address[INET6_ADDRSTRLEN + 16];
        struct lws_client_connect_info info = {
                .context = c->net->context,
                .vhost = c->net->vhost,
                .address = address,
                .port = c->port,
                .path = c->path,
                .host = c->authority,
                .ssl_connection = c->tls ? LCCSCF_USE_SSL : 0,
                .method = c->websocket ? NULL : "POST",
                .alpn = "http/1.1",
                .local_protocol_name = net_protocols[0].name,
                .opaque_user_data = c,
                .pwsi = &c->wsi,
                .ietf_version_or_minus_one = -1,
        };
        int r;

        /* Without TLS, the name must resolve to this machine, whatever the resolver says. */
        if (!c->tls && !is_loopback(sa))
                return -EPERM;
        if (getnameinfo(sa, sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
                        address, sizeof(address), NULL, 0, NI_NUMERICHOST) != 0)
                return -EINVAL;
        /* lws compares only names; addresses are compared when the certificate is verified. */
        if (c->tls && c->is_address)
                info.ssl_connection |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
        c->connecting = true;
        if (!lws_client_connect_via_info(&info))
                c->wsi = NULL;
        c->connecting = false;
        net_kick(c->net);
        if (!c->wsi)
                return -ECONNREFUSED;
        r = net_watch(c);
        if (r < 0) {
                struct lws *wsi = TAKE_PTR(c->wsi);

                net_unwatch(c);
                lws_set_opaque_user_data(wsi, NULL);
                lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
        }
        return r;
}

void conn_connect_next(NetConn *c, const char *reason)
{
        while (c->next_address && !c->detached) {
                const struct addrinfo *a = c->next_address;
                int r;

                c->next_address = a->ai_next;
                if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
                        continue;
                r = connect_address(c, a->ai_addr);
                if (r >= 0)
                        return;
                if (c->close_reason[0] != '\0')
                        reason = c->close_reason;
                else
                        reason = strerror(-r);
        }
        conn_over(c, 0, reason);
}

static void on_resolved(int error, struct addrinfo *addresses, void *userdata)
{
        NetConn *c = userdata;

        c->resolve = NULL;
        c->addresses = c->next_address = addresses;
        c->callbacks++;
        if (error != 0) {
                char reason[256];

                snprintf(reason, sizeof(reason), "cannot look up %s: %s", c->host, gai_strerror(error));
                conn_over(c, 0, reason);
        } else
                conn_connect_next(c, "no address");
        c->callbacks--;
        conn_unref(c);
}

static int conn_new(Net *n, const ServerUrl *url, const char *path, const NetOps *ops, void *userdata, NetConn **ret)
{
        NetConn *c;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->net = n;
        c->next = n->conns;
        n->conns = c;
        c->ops = ops;
        c->userdata = userdata;
        c->tls = url->tls;
        c->is_address = url->is_address;
        c->port = url->port;
        c->host = strdup(url->host);
        c->authority = strdup(url->authority);
        c->path = strdup(path);
        if (!c->host || !c->authority || !c->path) {
                conn_free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

static int conn_resolve(NetConn *c)
{
        int flags;

        if (c->is_address)
                flags = AI_NUMERICHOST;
        else
                /* Without TLS, the target is this machine, which has its addresses even without a network. */
                flags = c->tls ? AI_ADDRCONFIG : 0;
        return resolve_start(c->net->event, c->host, flags, on_resolved, c, &c->resolve);
}

int net_post(Net *n, const ServerUrl *url, const char *path, const char *body, const NetOps *ops, void *userdata,
             NetConn **ret)
{
        NetConn *c;
        int r;

        r = conn_new(n, url, path, ops, userdata, &c);
        if (r < 0)
                return r;
        c->body = strdup(body);
        r = c->body ? conn_resolve(c) : -ENOMEM;
        if (r < 0) {
                conn_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

int net_websocket(Net *n, const ServerUrl *url, const char *path, const NetOps *ops, void *userdata, NetConn **ret)
{
        NetConn *c;
        int r;

        r = conn_new(n, url, path, ops, userdata, &c);
        if (r < 0)
                return r;
        c->websocket = true;
        r = conn_resolve(c);
        if (r < 0) {
                conn_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

NetConn *net_conn_close(NetConn *c)
{
        Net *n;

        if (!c)
                return NULL;
        n = c->net;
        c->detached = true;
        c->settled = false;
        c->resolve = resolve_cancel(c->resolve);
        /* Within a callback of this connection, the callback's return value ends the connection, and the callback
         * that reports the end frees it. */
        if (c->wsi && c->callbacks == 0)
                lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
        else
                conn_unref(c);
        net_kick(n);
        return NULL;
}

void net_conn_want_write(NetConn *c)
{
        if (!c->wsi || c->over)
                return;
        lws_callback_on_writable(c->wsi);
        net_kick(c->net);
}

static int conn_write(NetConn *c, const char *text, size_t length, enum lws_write_protocol protocol)
{
        _cleanup_free_ unsigned char *buffer = NULL;

        if (!c->wsi || c->over)
                return -ENOTCONN;
        buffer = malloc(LWS_PRE + length);
        if (!buffer)
                return -ENOMEM;
        memcpy(buffer + LWS_PRE, text, length);
        /* lws keeps what the socket does not accept at once, and asks for more only after sending it. */
        return lws_write(c->wsi, buffer + LWS_PRE, length, protocol) < 0 ? -EPIPE : 0;
}

int net_conn_send(NetConn *c, const char *text, size_t length)
{
        return conn_write(c, text, length, LWS_WRITE_TEXT);
}

int net_conn_send_ping(NetConn *c)
{
        return conn_write(c, "", 0, LWS_WRITE_PING);
}

/* lws answers the peer's pings without reporting them, so ask TCP; see tcp(7). */
uint64_t net_conn_heard(NetConn *c)
{
        struct tcp_info info;
        socklen_t size = sizeof(info);

        if (!c->wsi || getsockopt(lws_get_socket_fd(c->wsi), IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
                return 0;
        return now_usec(CLOCK_MONOTONIC) - (uint64_t) info.tcpi_last_data_recv * USEC_PER_MSEC;
}
