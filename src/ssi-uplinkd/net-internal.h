/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files net-*.c share: one connection on libwebsockets. */

#include <libwebsockets.h>

#include "net.h"
#include "resolve.h"

struct Net {
        sd_event *event;
        sd_event_source *kick, *tick;
        NetConn *conns;
        struct lws_context *context;
        struct lws_vhost *vhost;
        int ca_fd; /* the authorities, as the file that lws wants */
};

struct NetConn {
        Net *net;
        NetConn *next;
        const NetOps *ops;
        void *userdata;
        bool websocket, tls, is_address;
        char *host, *authority, *path, *body;
        uint16_t port;

        Resolve *resolve;
        struct addrinfo *addresses, *next_address;
        bool connecting;

        struct lws *wsi;
        sd_event_source *input, *output; /* its socket */
        bool holds_output;               /* lws does, for when the socket takes it */
        bool settled;                    /* open, so that lws waits for nothing but the peer */
        unsigned callbacks;              /* depth */
        bool detached;                   /* nobody wants to hear of it any more */
        bool over;                       /* closed() was told */
        unsigned status;
        unsigned close_code;
        char close_reason[128];
        char *rx;
        size_t rx_length;
};

extern const struct lws_protocols net_protocols[];

/* net-loop.c: when lws gets its turns. */
int net_loop_setup(Net *n);
void net_loop_done(Net *n);
/* lws has something to do besides what its sockets show. Call it after anything that asks lws for something. */
void net_kick(Net *n);
/* Follows the socket of c->wsi. _unwatch() before lws closes it. */
int net_watch(NetConn *c);
void net_unwatch(NetConn *c);

/* Tries the addresses that are left; calls closed() when there are none. */
void conn_connect_next(NetConn *c, const char *reason);
void conn_over(NetConn *c, unsigned code, const char *reason);
/* Frees it when nobody holds it any more. */
void conn_unref(NetConn *c);
