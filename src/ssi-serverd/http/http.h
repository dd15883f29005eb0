/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* HTTP/1.1, WebSocket and server-sent events on libwebsockets, driven by sd-event. This layer knows nothing
 * about SSI: it routes requests to handlers and sends their answers. Everything runs in the single thread of
 * the event loop. */

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "shared/util.h"
#include "loop/uv-loop.h"

typedef struct HttpServer HttpServer;
typedef struct HttpRequest HttpRequest;
typedef struct WsConn WsConn;

typedef struct HttpConfig {
        const char *web_dir;   /* the dashboard's static files; served for GET and HEAD when no route
                                   * matches */
        const char *cert_file; /* PEM chain and key for the TLS listeners; NULL when there are none */
        const char *key_file;
        size_t body_max; /* bytes; a longer body is answered with 413 before it is read */
} HttpConfig;

int http_server_new(sd_event *event, const HttpConfig *config, HttpServer **ret);
/* Drops everything that is still open and calls closed() of streams and WebSockets. Not from inside a
 * handler. */
HttpServer *http_server_free(HttpServer *s);
DEFINE_CLEANUP(HttpServer *, http_server_free);

/* For worker_run(). Valid as long as the server. */
UvBridge *http_server_uv(HttpServer *s);

/* Takes ownership of the listening socket fd on success (socket activation). tls: its connections speak TLS;
 * -EINVAL without a certificate. */
int http_server_add_listener(HttpServer *s, int fd, bool tls);

/* Whether the listeners added so far accept connections. If not, connections wait in the kernel's queue. */
void http_server_set_accepting(HttpServer *s, bool accepting);

/* Whose X-Forwarded-For is believed: addresses and networks, as networks_parse() reads them. At first, nobody's. */
int http_server_set_trusted_proxies(HttpServer *s, const char *list);

/* Reloads certificate and key for new connections. */
int http_server_reload_tls(HttpServer *s);

/* While detail (a literal; borrowed) is not NULL, every request below /api/ is answered with 503
 * "unavailable". */
void http_server_set_unavailable(HttpServer *s, const char *detail);
/* Called after each answer, for statistics. route: the pattern, "static" for the dashboard's files or
 * "other"; usec: from the complete request to its answer. */
void http_server_set_observer(HttpServer *s,
                              void (*answered)(const char *method, const char *route, int status, uint64_t usec,
                                               void *userdata),
                              void *userdata);
/* Called when the server becomes unavailable or available again. */
void http_server_set_available_callback(HttpServer *s, void (*changed)(bool available, void *userdata), void *userdata);

typedef struct HttpAnswer {
        const char *method, *path; /* the route's pattern, or the path of a file */
        const char *peer;
        int status;
        uint64_t duration_usec;
} HttpAnswer;

/* Called for each answer, with the request's log fields set; NULL turns it off. */
void http_server_set_access_log(HttpServer *s, void (*answered)(const HttpAnswer *a, void *userdata), void *userdata);

/* Stops accepting. Pending requests are answered, as the last on their connections; WebSockets are closed
 * with 1001, streams end, and idle connections are closed after a moment. done is called once, when the last
 * connection is gone or after timeout_usec. */
int http_server_shutdown(HttpServer *s, uint64_t timeout_usec, void (*done)(void *userdata), void *userdata);

/* ---- Requests. A handler answers now or later, exactly once. A request that it keeps holds a reference;
 * answering one whose connection is gone does nothing. After 60 s without an answer the client gets a 503.
 * ---- */

typedef void (*http_handler_t)(HttpRequest *req, void *userdata);

/* pattern: "/api/v1/servers/:server_id/services". method: "GET" (also serves HEAD), "POST", "PATCH",
 * "DELETE", "PUT". A known path with another method is answered with 405 and Allow, an unknown one below
 * /api/ with 404, both as problem+json. A second handler for the same method and pattern replaces the first.
 * If two patterns match, the one added first wins. A body needs a Content-Length (otherwise 411); the
 * handler is called when the whole body has arrived. */
int http_server_add_route(HttpServer *s, const char *method, const char *pattern, http_handler_t handler,
                          void *userdata);

HttpRequest *http_request_ref(HttpRequest *req);
HttpRequest *http_request_unref(HttpRequest *req);

/* Borrowed, NULL if absent. A path parameter and a query value are percent-decoded, valid UTF-8 and free of
 * NUL. */
const char *http_request_param(HttpRequest *req, const char *name);
const char *http_request_query(HttpRequest *req, const char *name);
/* The i-th query parameter; false past the last. */
bool http_request_query_at(HttpRequest *req, size_t i, const char **ret_name, const char **ret_value);
const char *http_request_authorization(HttpRequest *req); /* the Authorization header's value */
const char *http_request_user_agent(HttpRequest *req);    /* the User-Agent header's value */
const char *http_request_path(HttpRequest *req);
/* The client's address, behind the trusted proxies: numeric, an IPv4 address in its own form; "local" on a Unix socket.
 * The one to use for limits, logs and sessions. */
const char *http_request_peer(HttpRequest *req);
/* Whether it comes from this machine, over the loopback, asks for it by a name of the loopback, and no proxy says that it passed it on. */
bool http_request_is_local(HttpRequest *req);
/* The same, also over a Unix socket. */
bool http_request_is_from_here(HttpRequest *req);
/* The body as a JSON object. On failure it has answered 400 (bad-json) or 415 (not application/json) and
 * returns NULL. Borrowed. */
json_object *http_request_json(HttpRequest *req);

/* Of a request's ID: the client's X-Request-Id if it is usable, otherwise a generated one; the answer carries it. */
#define HTTP_REQUEST_ID_MAX 64
/* The requesting user, for the log. */
void http_request_set_user(HttpRequest *req, const char *user);
/* From here on, logged lines carry the request's fields, until log_set_fields() is called with the returned
 * value. Handlers are called like this; a callback that continues the request must call this itself. */
const char *const *http_request_log_enter(HttpRequest *req);

/* State for handlers that continue in a callback; freed with the request. */
void http_request_set_userdata(HttpRequest *req, void *userdata, void (*destroy)(void *));

void http_respond_json(HttpRequest *req, int status, json_object *body_taken); /* NULL body: out of memory, 500 */
/* Responds with n bytes of another content type; copied. */
void http_respond_data(HttpRequest *req, int status, const char *content_type, const void *data, size_t n);
void http_respond_empty(HttpRequest *req, int status);
/* Allows pages of other origins to use the answer. */
void http_respond_embeddable(HttpRequest *req);
/* type: the last part of urn:ssi:problem:<type>. */
void http_respond_problem(HttpRequest *req, int status, const char *type, const char *detail);
/* Adds a header to the answer (Link, Retry-After, WWW-Authenticate). */
int http_respond_add_header(HttpRequest *req, const char *name, const char *value);

/* ---- Server-sent events: turns the request into a stream that lives until either side ends it. ---- */

typedef struct SseStream SseStream;

/* closed is called exactly once, when the stream has ended; the stream is freed after it. It is always
 * called from the event loop, never from inside this or the next two functions. Returns NULL, without
 * calling closed, when the connection is gone or memory is short. */
SseStream *http_respond_sse(HttpRequest *req, void (*closed)(SseStream *stream, void *userdata), void *userdata);
/* Queues an event; data is one line of JSON. -ENOBUFS when the peer does not read (this closes the
 * stream). */
int sse_send(SseStream *stream, const char *event, const char *data, size_t data_len);
void sse_close(SseStream *stream);

/* ---- Downloads: an answer of any size, of which only a part is kept in memory. ---- */

/* As http_respond_sse(). drained is called whenever all that was sent has left this process: send more, or end it, then or later. A peer
 * that reads nothing for a minute loses the connection. */
SseStream *http_respond_download(HttpRequest *req, const char *content_type,
                                 void (*drained)(SseStream *stream, void *userdata),
                                 void (*closed)(SseStream *stream, void *userdata), void *userdata);
/* Copies. -ENOBUFS when more than 1 MiB would wait. */
int download_send(SseStream *stream, const void *data, size_t n);
/* It is complete. A download that ends with sse_close() is not, and its client knows. */
void download_end(SseStream *stream);

/* ---- WebSocket. This layer pings after 30 s without traffic, closes a connection that has been silent for
 * 45 s, answers pings, and refuses binary messages (1003), messages above WS_MESSAGE_MAX (4413), and those that
 * take too long to arrive (4408). ---- */

/* "Going away", RFC 6455, 7.4.1. Not 1012, "service restart": older libwebsockets report that to the client
 * as error 1002. */
#define WS_CLOSE_RESTART   1001
#define WS_MESSAGE_MAX     ((size_t) 1024 * 1024)
#define WS_MESSAGE_NEW_MAX ((size_t) 8192) /* until ws_trust() */
#define WS_QUEUE_MAX       ((size_t) 4 * 1024 * 1024)

typedef struct WsHandler {
        /* Returns a negative errno to refuse. userdata is that of http_server_set_websocket(). */
        int (*open)(WsConn *c, void *userdata);
        /* One whole text message. Binary messages never get here. */
        void (*message)(WsConn *c, const char *text, size_t n, void *userdata);
        /* Exactly once per successful open. */
        void (*closed)(WsConn *c, void *userdata);
} WsHandler;

int http_server_set_websocket(HttpServer *s, const char *path, const WsHandler *handler, void *userdata);

/* The client's address, as of http_request_peer(). */
const char *ws_peer(WsConn *c);
void ws_set_data(WsConn *c, void *data);
void *ws_data(WsConn *c);
/* The peer has proved who it is. Until then its messages are limited to WS_MESSAGE_NEW_MAX, and unfinished ones of
 * all such peers share a small part of the memory: when it is full, the oldest of them are closed (4429). */
void ws_trust(WsConn *c);
/* Queues a text message. -ENOBUFS when more than 4 MiB are queued (this closes the connection with 4429). */
int ws_send(WsConn *c, const char *text, size_t n);
/* Sends what is queued, then a close frame; no more messages are delivered. closed() follows, from the event
 * loop, never from inside this or the other functions here. reason: at most 123 bytes. */
void ws_close(WsConn *c, int code, const char *reason);
/* Backpressure: stops or resumes reading from this connection's socket. At most one more message is
 * delivered after a pause; none if message() itself asked for it. */
void ws_pause(WsConn *c, bool pause);
