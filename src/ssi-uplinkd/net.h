/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The network: one HTTP request or WebSocket at a time is a NetConn. Names are looked up off the loop; TLS checks the
 * server's certificate and name always. */

#include <systemd/sd-event.h>

#include "server-url.h"

/* What a peer may send in one message or answer. */
#define NET_MESSAGE_MAX (64U * 1024)

typedef struct Net Net;
typedef struct NetConn NetConn;

/* Called from the event loop, never from within a net_ function. closed() is the last one; the answer to a request is,
 * too. The owner calls net_conn_close() in any case, which each of these may do, and hears nothing after it. */
typedef struct NetOps {
        void (*opened)(void *userdata); /* WebSocket only */

        /* A text message, or the whole answer to a request. status is that of HTTP, 0 for a message. The text ends
         * with a NUL that does not count. */
        void (*received)(unsigned status, const char *text, size_t length, void *userdata);

        /* Asked for by net_conn_want_write(): call net_conn_send() at most once. WebSocket only. */
        void (*writable)(void *userdata);

        /* code is the peer's close code or 0; reason is a sentence's part for people. */
        void (*closed)(unsigned code, const char *reason, void *userdata);
} NetOps;

int net_new(sd_event *event, Net **ret);
/* All connections must have been closed. */
Net *net_free(Net *n);
DEFINE_CLEANUP(Net *, net_free);

/* Which authorities to trust from now on: those in this PEM text, NULL for the system's. -EINVAL when it holds none. Must be
 * called before the first connection: until then none is trusted, because the system's may be a hundred to keep in memory. */
int net_set_ca(Net *n, const char *pem);

/* POSTs JSON; received() or closed() tells the rest. */
int net_post(Net *n, const ServerUrl *url, const char *path, const char *body, const NetOps *ops, void *userdata,
             NetConn **ret);
int net_websocket(Net *n, const ServerUrl *url, const char *path, const NetOps *ops, void *userdata, NetConn **ret);

/* Ends it at once; c is gone then. NULL is fine. */
NetConn *net_conn_close(NetConn *c);

void net_conn_want_write(NetConn *c);
int net_conn_send(NetConn *c, const char *text, size_t length);
int net_conn_send_ping(NetConn *c);

/* When the peer's last bytes came, pings and pongs too (CLOCK_MONOTONIC, usec); 0 when that cannot be known. */
uint64_t net_conn_heard(NetConn *c);
