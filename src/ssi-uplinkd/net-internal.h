/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by net-*.c: one connection on libwebsockets. */

#include <libwebsockets.h>

#include "net.h"
#include "resolve.h"

struct Net {
        sd_event *event;
        sd_event_source *kick, *tick;
        NetConn *conns;
        struct lws_context *context;
        struct lws_vhost *vhost;
        int ca_fd; /* the authorities, in the file that lws requires */
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
        sd_event_source *input, *output; /* both watch its socket */
        bool holds_output;               /* lws holds output until the socket accepts it */
        bool settled;                    /* open: lws waits only for the peer */
        unsigned callbacks;              /* how deeply they are nested */
        bool detached;                   /* the owner has closed it and hears nothing more */
        bool over;                       /* closed() was called */
        unsigned status;
        unsigned close_code;
        char close_reason[192];
        char *rx;
        size_t rx_length;
};

extern const struct lws_protocols net_protocols[];

/* net-loop.c: runs lws from the event loop. */
int net_loop_setup(Net *n);
void net_loop_done(Net *n);
/* Gives lws a turn for work that its sockets do not show. Call this after anything that gives lws work to do. */
void net_kick(Net *n);
/* Watches the socket of c->wsi. Call net_unwatch() before lws closes it. */
int net_watch(NetConn *c);
void net_unwatch(NetConn *c);

/* Tries the remaining addresses; calls closed() if there are none. */
void conn_connect_next(NetConn *c, const char *reason);
void conn_over(NetConn *c, unsigned code, const char *reason);
/* Frees c if nobody uses it anymore. */
void conn_unref(NetConn *c);
