/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of the HTTP layer.
 *
 * The life of a request on libwebsockets (4.1):
 *
 * 1. An accepted socket is handed to lws once there is something to read; on_lws_event() (server.c) gets its
 *    first callback and makes an HttpConn, which lives until lws reports WSI_DESTROY.
 * 2. LWS_CALLBACK_HTTP: the headers have arrived. lws is in its state ESTABLISHED. (This is why the vhosts have
 *    a mount with callbacks: without one the state would be DOING_TRANSACTION, in which lws does not read and
 *    a readable socket spins.) request_new() copies what is needed, since lws drops the headers early.
 * 3. A body is collected in LWS_CALLBACK_HTTP_BODY; then, or at once without one, the request is queued.
 * 4. It is dispatched when lws has returned to the loop, never from inside lws. With a body this is vital: if the
 *    body was pipelined, lws reads it from the wrong place, and would do so forever once the transaction is over;
 *    as long as it is not, our next callback notices and ends the connection.
 * 5. Reading continues while the handler works. If the peer closes, the request ends; bytes that come early
 *    (pipelining) are dropped, and the answer says that it is the last. Disabling reads instead does not work:
 *    lws would ignore all events of the socket and spin on a writable one.
 * 6. conn_answer() writes head and body in one go; lws keeps what the socket does not accept. Then lws is told that
 *    the transaction is over, or, if the connection cannot be reused, it lingers: the rest of the body is read
 *    and dropped for a while, so that closing does not reset the connection under an unread answer.
 */

#include <libwebsockets.h>
#include <utlist.h>

#include "http/accept-filter.h"
#include "http/http.h"
#include "http/wheel.h"
#include "http/listen.h"

typedef struct StaticFiles StaticFiles;
typedef struct Networks Networks;

#define HTTP_HEAD_SECONDS 20 /* for the handshake and the first request's head */
#define HTTP_IDLE_SECONDS 60 /* between requests, including the next one's head */
#define HTTP_REQUEST_SECONDS \
        60                     /* for a handler to answer, and for the peer to read the
                                                   * answer */
#define HTTP_BODY_SECONDS   30 /* for a body to arrive */
#define HTTP_LINGER_SECONDS 3
#define HTTP_LINGER_BYTES   ((size_t) 256 * 1024)
#define HTTP_EARLY_MAX      16 /* chunks of early bytes */
#define HTTP_PARAMS_MAX     8
#define HTTP_QUERY_MAX      64
/* What peers can make us keep before anybody has looked at who they are. When it is full, the oldest has to go: a peer
 * that means well is through with it long before. */
#define HTTP_WAITING_MAX    4096                         /* connections in a handshake or a head, or idle */
#define HTTP_HELD_MAX       ((size_t) 128 * 1024 * 1024) /* bytes of unfinished bodies and of answers not sent yet */
#define HTTP_HELD_FREE      ((size_t) 4096)              /* of each connection, not counted */
#define HTTP_USER_MAX       32
#define SSE_QUEUE_MAX       ((size_t) 1024 * 1024)
#define SSE_COMMENT_SECONDS 15
#define WS_PING_SECONDS     30
#define WS_SILENCE_SECONDS  45
#define WS_CLOSE_SECONDS    10
/* For a message to arrive, once it has begun. */
#define WS_MESSAGE_SECONDS     60
#define WS_MESSAGE_NEW_SECONDS 20
/* Unfinished messages of all connections: of peers that are trusted, and of the others. */
#define WS_PARTIAL_MAX     ((size_t) 256 * 1024 * 1024)
#define WS_PARTIAL_NEW_MAX ((size_t) 4 * 1024 * 1024)

typedef struct HttpConn HttpConn;
typedef struct Route Route;
typedef struct HttpListener HttpListener;

struct HttpListener {
        HttpListener *next;
        HttpServer *server;
        Listener *listener;   /* NULL once the server shuts down */
        AcceptFilter *silent; /* one per listener, so that connections without TLS do not queue behind
                               * handshakes */
        bool tls;
};

struct HttpServer {
        sd_event *event;
        UvBridge *uv;
        Wheel *wheel;
        struct lws_context *context; /* lws sets it to NULL at the end */
        struct lws_vhost *plain, *tls;
        StaticFiles *files;
        char *cert_file, *key_file;
        Networks *proxies; /* trusted; NULL: none */
        size_t body_max;
        const char *unavailable;
        void (*logged)(const HttpAnswer *a, void *userdata);
        void *logged_userdata;
        void (*available_changed)(bool available, void *userdata);
        void *available_userdata;
        void (*answered)(const char *method, const char *route, int status, uint64_t usec, void *userdata);
        void *answered_userdata;

        HttpListener *listeners;
        Route *routes;
        char *ws_path;
        WsHandler ws_handler;
        void *ws_userdata;
        size_t ws_partial[2]; /* bytes of unfinished messages: of peers that are not trusted, and that are */
        WsConn *ws_new;       /* those that are not trusted and have an unfinished message, the oldest first */

        HttpConn *deferred; /* connections with a function to call once lws has returned */

        HttpConn *waiting; /* for a request, the oldest first */
        unsigned n_waiting;
        HttpConn *holding; /* memory, the oldest first */
        size_t held;

        HttpConn *conns;
        unsigned n_conns, max_conns;
        unsigned peak_conns; /* the maximum since memory was last trimmed */
        bool listeners_paused;

        sd_event_source *shutdown_timer, *shutdown_idle_timer, *shutdown_defer;
        void (*shutdown_done)(void *userdata);
        void *shutdown_userdata;
        bool shutting_down, shutdown_idle_passed;
};

/* One accepted socket. Exactly one of request, sse and ws is set while it is busy, none while it is idle. */
struct HttpConn {
        HttpConn *prev, *next;
        HttpConn *deferred_prev, *deferred_next;
        HttpConn *waiting_prev, *waiting_next;
        HttpConn *holding_prev, *holding_next;
        void (*deferred)(HttpConn *c);
        HttpServer *server;
        struct lws *wsi; /* NULL once lws has closed it */
        char *peer;
        HttpRequest *request; /* a reference */
        SseStream *sse;
        WsConn *ws;
        WheelTimer timer; /* of the request's phase */
        size_t lingered;
        size_t held; /* bytes that count towards HTTP_HELD_MAX */
        unsigned early;
        bool tls;
        bool waiting;
        bool in_callback; /* inside lws' callback for this socket */
        bool lingering;
        bool used;  /* it has served a request */
        bool close; /* close it at the end of the callback */
};

typedef enum RequestState {
        REQUEST_BODY,    /* the body is being read */
        REQUEST_READY,   /* queued for dispatch */
        REQUEST_PENDING, /* a handler has it */
        REQUEST_ANSWERED,
} RequestState;

typedef struct Param {
        char *name, *value;
} Param;

struct HttpRequest {
        unsigned n_ref;
        HttpConn *conn; /* NULL when the connection is gone */
        RequestState state;
        int method;        /* LWSHUMETH_… */
        const char *route; /* a pattern, or a literal; NULL before the dispatch */
        uint64_t begun;    /* time of the dispatch; CLOCK_MONOTONIC, usec */
        bool head;
        bool close; /* the answer is the connection's last */
        bool embeddable;
        bool from_here, local; /* as http_request_is_from_here(), http_request_is_local() */
        char *path;
        char *authorization, *content_type, *if_none_match, *user_agent;
        char *peer;

        Param params[HTTP_PARAMS_MAX];
        size_t n_params;
        Param *query;
        size_t n_query;

        char *body;
        size_t body_size, body_allocated, body_length; /* so far, room, announced */
        json_object *json;

        char id[HTTP_REQUEST_ID_MAX + 1];
        char user[HTTP_USER_MAX];
        int status; /* of the answer, once there is one */
        const char *log_fields[4];
        char log_id[HTTP_REQUEST_ID_MAX + 16], log_route[128], log_user[HTTP_USER_MAX + 16];

        char *headers; /* added by the handler, each with its CRLF */
        void *userdata;
        void (*destroy)(void *userdata);
};

/* conn.c */
HttpConn *conn_get(struct lws *wsi);
/* The connection is gone, except for lws: tells its request, stream or WebSocket. */
void conn_detach(HttpConn *c);
void conn_free(HttpConn *c);
/* Closes the connection if no request comes in time. lws' own timers are a sorted list, walked for each new
 * timer: with thousands of silent connections the server would do nothing else. */
void conn_await_request(HttpConn *c, unsigned seconds);
/* A request has begun. */
void conn_leave_waiting(HttpConn *c);
/* Closes the connection that has waited longest for a request, if there is one. */
void conn_kill_oldest_waiting(HttpServer *s);
/* The connection keeps n bytes for its peer's unfinished body or for an answer that the peer has not read yet. May close
 * others that have kept theirs for longer. */
void conn_hold(HttpConn *c, size_t n);
/* Closes at once, from anywhere. */
void conn_kill(HttpConn *c);
/* Closes gracefully: lws first sends what it still has. */
void conn_close(HttpConn *c);
/* Calls f once, when lws has returned to the loop, unless the connection is gone by then. */
void conn_defer(HttpConn *c, void (*f)(HttpConn *c));
void conns_run_deferred(HttpServer *s);
void conn_want_write(HttpConn *c);
/* Whether to read the socket. For WebSockets only. */
void conn_read(HttpConn *c, bool enable);
/* Writes the answer to the current request and ends the request; head is a complete header block. */
void conn_answer(HttpConn *c, const char *head, size_t head_size, const void *body, size_t body_size, bool close);
/* Drops body data of a request that is already answered. Negative: close. */
int conn_linger(HttpConn *c, size_t n);

/* client-address.c */
/* The address of the client behind the trusted proxies. forwarded: the value of X-Forwarded-For, or NULL; is modified. */
int client_address(const HttpServer *s, const char *peer, char *forwarded, char **ret);
/* Not of a Unix socket: that is for proxies. */
bool peer_is_loopback(const char *peer);

/* message-check.c */
/* Whether the head that lws has parsed can be understood in one way only. */
bool message_is_valid(struct lws *wsi);
/* Whether it asks for this machine itself, and no proxy says that it has passed it on. */
bool message_is_direct(struct lws *wsi);

/* request.c */
/* A copy of the header's value; NULL if there is none. */
int header_dup(struct lws *wsi, enum lws_token_indexes header, char **ret);
/* Makes a request from the headers that lws has parsed. Answers bad ones itself. 0 when the request is
 * ready, waits for its body or has been answered; negative: close without an answer. */
int request_begin(HttpConn *c, int method, const char *uri, size_t uri_size);
int request_body(HttpConn *c, const void *data, size_t n);
int request_body_complete(HttpConn *c);
/* Separates the request from its connection and drops the connection's reference. */
void request_detach(HttpConn *c);

/* respond.c */
/* A NULL content_type omits Content-Type and Content-Length. The result is the complete header block, or
 * NULL when out of memory. */
char *respond_head(HttpRequest *req, HttpConn *c, int status, const char *content_type, size_t content_length,
                   const char *cache_control, size_t *ret_size);
void respond_bytes(HttpRequest *req, int status, const char *content_type, const char *cache_control, const void *data,
                   size_t n);
/* Sends a problem without a request, as a complete answer that closes the connection. */
void respond_refuse(HttpConn *c, int status, const char *type, const char *detail);
const char *status_phrase(int status);
/* Called when the request is dispatched. route: borrowed, valid as long as the server. */
void request_begun(HttpRequest *req, const char *route);
/* Counts the answer. */
void respond_observe(HttpRequest *req, int status);

/* route.c */
struct Route {
        Route *next;
        char *method, *pattern;
        http_handler_t handler;
        void *userdata;
};
void routes_free(Route *routes);
/* Calls the matching handler, or answers with 404, 405 or a file. */
void route_dispatch(HttpServer *s, HttpRequest *req);
const char *method_name(int method);

/* log.c */
void request_identify(HttpRequest *req, struct lws *wsi);
void request_answered(HttpRequest *req);

/* server.c */
/* Open connections, whether lws knows them yet or not. */
unsigned server_count_conns(HttpServer *s);
void server_conn_gone(HttpServer *s);

/* sse.c */
int sse_on_writable(SseStream *stream);
void sse_detach(SseStream *stream); /* calls closed and frees it */

/* ws.c */
/* Handles a request to upgrade to protocol. 0 lets lws continue with the handshake; negative: refused and
 * answered. */
int ws_on_upgrade(HttpConn *c, const char *protocol);
void ws_on_established(WsConn *ws);
int ws_on_receive(WsConn *ws, const char *data, size_t n);
void ws_on_pong(WsConn *ws);
int ws_on_writable(WsConn *ws);
void ws_detach(WsConn *ws); /* calls closed and frees it */
