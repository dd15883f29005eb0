/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The network: each NetConn is one HTTP request or one WebSocket. Names are looked up outside the event loop; TLS
 * always checks the server's certificate and name. */

#include <systemd/sd-event.h>

#include "shared/server-url.h"

/* The largest message or answer that a peer may send. */
#define NET_MESSAGE_MAX (64U * 1024)

typedef struct Net Net;
typedef struct NetConn NetConn;

/* Called from the event loop, never from within a net_ function. The last call is closed(), or received() for a
 * request. The owner must call net_conn_close() in any case; each of these functions may do so, and none is called
 * afterward. */
typedef struct NetOps {
        void (*opened)(void *userdata); /* WebSocket only */

        /* A text message, or the whole answer to a request. status: the HTTP status; 0 for a message. text ends with
         * a NUL that length does not count. */
        void (*received)(unsigned status, const char *text, size_t length, void *userdata);

        /* The answer to net_conn_want_write(): call net_conn_send() at most once. WebSocket only. */
        void (*writable)(void *userdata);

        /* code: the peer's close code, or 0. reason: part of a sentence, for people. */
        void (*closed)(unsigned code, const char *reason, void *userdata);
} NetOps;

int net_new(sd_event *event, Net **ret);
/* All connections must be closed already. */
Net *net_free(Net *n);
DEFINE_CLEANUP(Net *, net_free);

/* Sets the authorities to trust from now on: those in this PEM text, or the system's for NULL. -EINVAL if pem
 * contains none. Call this before the first connection: until then no authority is trusted, because the system may
 * have a hundred, which would all be kept in memory. */
int net_set_ca(Net *n, const char *pem);

/* POSTs JSON. received() or closed() reports the outcome. */
int net_post(Net *n, const ServerUrl *url, const char *path, const char *body, const NetOps *ops, void *userdata,
             NetConn **ret);
int net_websocket(Net *n, const ServerUrl *url, const char *path, const NetOps *ops, void *userdata, NetConn **ret);

/* Ends the connection at once and releases c. NULL is allowed. */
NetConn *net_conn_close(NetConn *c);

void net_conn_want_write(NetConn *c);
int net_conn_send(NetConn *c, const char *text, size_t length);
int net_conn_send_ping(NetConn *c);

/* When the peer last sent bytes, including pings and pongs (CLOCK_MONOTONIC, usec); 0 if unknown. */
uint64_t net_conn_heard(NetConn *c);
