#pragma once

#include "../ssi-serverd/uv-loop-internal.h"

#include <libwebsockets.h>

#include "net.h"

struct Net {
        UvBridge *uv;
        struct lws_context *context;
        struct lws_vhost *vhost;
        int ca_fd; /* the authorities, as the file that lws wants */
};

struct NetConn {
        Net *net;
        const NetOps *ops;
        void *userdata;
        bool websocket, tls, is_address;
        char *host, *authority, *path, *body;
        uint16_t port;

        uv_getaddrinfo_t resolver;
        struct addrinfo *addresses, *next_address;
        bool resolving, connecting;

        struct lws *wsi;
        unsigned callbacks; /* depth */
        bool detached;      /* nobody wants to hear of it any more */
        bool over;          /* closed() was told */
        unsigned status;
        unsigned close_code;
        char close_reason[128];
        char *rx;
        size_t rx_length;
};

extern const struct lws_protocols net_protocols[];

/* Tries the addresses that are left; tells closed() when there are none. */
void conn_connect_next(NetConn *c, const char *reason);
void conn_over(NetConn *c, unsigned code, const char *reason);
/* Frees it when nobody holds it any more. */
void conn_unref(NetConn *c);
