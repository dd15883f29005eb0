/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <malloc.h>
#include <sys/resource.h>

#include "http/internal.h"
#include "http/static-files.h"
#include "shared/log.h"
#include "loop/uv-loop-internal.h"

/* Descriptors other than connections: database, journal, files, timers. */
#define FDS_RESERVED 64

/* With this many connections at once, the memory they took is worth trimming: some 30 MB. */
#define CONNS_TRIM_MIN 1000

static void on_lws_log(int level, const char *line)
{
        log_debug("libwebsockets: %.*s", (int) strcspn(line, "\n"), line);
}

static int on_http(HttpConn *c)
{
        char *uri;
        int size, method;

        lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
        /* Bytes that arrive while a request is under way: lws drops them and announces the request again. */
        if (c->request && c->request->state != REQUEST_BODY && c->early++ < HTTP_EARLY_MAX) {
                c->request->close = true;
                return 0;
        }
        if (c->request || c->sse || c->ws || c->lingering || lws_partial_buffered(c->wsi))
                return -EPROTO;
        method = lws_http_get_uri_and_method(c->wsi, &uri, &size);
        if (method < 0)
                return -EPROTO;
        c->used = true;
        conn_leave_waiting(c);
        conn_hold(c, 0);
        wheel_disarm(c->server->wheel, &c->timer);
        return request_begin(c, method, uri, (size_t) size);
}

static int on_conn_event(HttpConn *c, enum lws_callback_reasons reason, void *in, size_t n)
{
        switch ((int) reason) {
        case LWS_CALLBACK_HTTP:
                return on_http(c);
        case LWS_CALLBACK_HTTP_BODY:
                return c->lingering ? conn_linger(c, n) : request_body(c, in, n);
        case LWS_CALLBACK_HTTP_BODY_COMPLETION:
                return c->lingering ? -ECONNABORTED : request_body_complete(c);
        case LWS_CALLBACK_HTTP_WRITEABLE:
                return c->sse ? sse_on_writable(c->sse) : 0;
        case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
                return ws_on_upgrade(c, in);
        case LWS_CALLBACK_ESTABLISHED:
                if (!c->ws)
                        return -EPROTO;
                ws_on_established(c->ws);
                return 0;
        case LWS_CALLBACK_RECEIVE:
                return c->ws ? ws_on_receive(c->ws, in, n) : -EPROTO;
        case LWS_CALLBACK_RECEIVE_PONG:
                if (c->ws)
                        ws_on_pong(c->ws);
                return 0;
        case LWS_CALLBACK_SERVER_WRITEABLE:
                return c->ws ? ws_on_writable(c->ws) : -EPROTO;
        case LWS_CALLBACK_CLOSED:
        case LWS_CALLBACK_CLOSED_HTTP:
                conn_detach(c);
                return 0;
        default:
                return 0;
        }
}

static int on_lws_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
        HttpConn *c;
        bool outer;
        int r;

        switch ((int) reason) {
        case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
                return conn_get(wsi) ? 0 : -1;
        case LWS_CALLBACK_WSI_DESTROY:
                c = lws_get_opaque_user_data(wsi);
                if (c)
                        conn_free(c);
                return 0;
        case LWS_CALLBACK_RAW_ADOPT: /* CONNECT */
        case LWS_CALLBACK_RAW_RX:
        case LWS_CALLBACK_RAW_WRITEABLE:
                return -1;
        case LWS_CALLBACK_HTTP:
        case LWS_CALLBACK_HTTP_BODY:
        case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        case LWS_CALLBACK_HTTP_WRITEABLE:
        case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        case LWS_CALLBACK_ESTABLISHED:
        case LWS_CALLBACK_RECEIVE:
        case LWS_CALLBACK_RECEIVE_PONG:
        case LWS_CALLBACK_SERVER_WRITEABLE:
        case LWS_CALLBACK_CLOSED:
        case LWS_CALLBACK_CLOSED_HTTP:
                break;
        default:
                return 0;
        }

        c = lws_get_opaque_user_data(wsi);
        if (!c || !c->wsi)
                return reason == LWS_CALLBACK_CLOSED || reason == LWS_CALLBACK_CLOSED_HTTP ? 0 : -1;
        outer = !c->in_callback;
        c->in_callback = true;
        r = on_conn_event(c, reason, in, n);
        if (outer)
                c->in_callback = false;
        return r < 0 || c->close ? -1 : 0;
}

static const struct lws_protocols protocols[] = {
        {
                .name = "ssi",
                .callback = on_lws_event,
                .rx_buffer_size = 4096,
                .tx_packet_size = 256 * 1024,
        },
        {},
};

static const struct lws_http_mount mount = {
        .mountpoint = "/",
        .mountpoint_len = 1,
        .origin = "ssi",
        .origin_protocol = LWSMPRO_CALLBACK,
};

/* Each of lws' own pings costs a walk of a sorted list; ws.c pings instead. */
static const lws_retry_bo_t no_pings = {};

/* Forward secrecy and authenticated encryption only: Mozilla's intermediate list, without finite-field Diffie-Hellman. Those of
 * TLS 1.3 are all of this kind. */
static const char tls12_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static int create_vhost(HttpServer *s, bool tls, struct lws_vhost **ret)
{
        struct lws_context_creation_info info = {
                .port = CONTEXT_PORT_NO_LISTEN_SERVER,
                .vhost_name = tls ? "tls" : "plain",
                .protocols = protocols,
                .mounts = &mount,
                .keepalive_timeout = 60,
                .retry_and_idle_policy = &no_pings,
                .options = tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
        };
        struct lws_vhost *vhost;

        if (tls) {
                info.ssl_cert_filepath = s->cert_file;
                info.ssl_private_key_filepath = s->key_file;
                info.alpn = "http/1.1";
                info.ssl_cipher_list = tls12_ciphers;
                info.ssl_options_set = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_NO_COMPRESSION;
        }
        vhost = lws_create_vhost(s->context, &info);
        if (!vhost)
                return -EINVAL;
        *ret = vhost;
        return 0;
}

static int create_context(HttpServer *s)
{
        void *loops[] = { uv_bridge_loop(s->uv) };
        struct lws_context_creation_info info = {
                .port = CONTEXT_PORT_NO_LISTEN_SERVER,
                .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                           LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
                .foreign_loops = loops,
                .pcontext = &s->context,
                .user = s,
                .gid = (gid_t) -1,
                .uid = (uid_t) -1,
                .pt_serv_buf_size = 4096,
                .max_http_header_data = 16384,
                .timeout_secs = 20,
                .retry_and_idle_policy = &no_pings,
        };
        int r;

        lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
        s->context = lws_create_context(&info);
        if (!s->context)
                return -ENOMEM;
        r = create_vhost(s, false, &s->plain);
        if (r < 0 || !s->cert_file)
                return r;
        return create_vhost(s, true, &s->tls);
}

unsigned server_count_conns(HttpServer *s)
{
        unsigned n = s->n_conns;
        HttpListener *l;

        LL_FOREACH(s->listeners, l)
                n += accept_filter_count(l->silent);
        return n;
}

static void after_uv(void *userdata)
{
        conns_run_deferred(userdata);
}

int http_server_new(sd_event *event, const HttpConfig *config, HttpServer **ret)
{
        _cleanup_(http_server_freep) HttpServer *s = NULL;
        struct rlimit limit;
        int r;

        if (!config->cert_file != !config->key_file)
                return -EINVAL;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->event = sd_event_ref(event);
        s->body_max = config->body_max;
        if (config->cert_file) {
                s->cert_file = strdup(config->cert_file);
                s->key_file = strdup(config->key_file);
                if (!s->cert_file || !s->key_file)
                        return -ENOMEM;
        }
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        s->max_conns = limit.rlim_cur > 2 * FDS_RESERVED ? (unsigned) MIN(limit.rlim_cur, 1000000U) - FDS_RESERVED :
                                                           FDS_RESERVED;
        if (config->web_dir) {
                r = static_files_new(config->web_dir, &s->files);
                if (r < 0)
                        return r;
        }
        r = wheel_new(event, &s->wheel);
        if (r < 0)
                return r;
        r = uv_bridge_new(event, &s->uv);
        if (r < 0)
                return r;
        uv_bridge_set_after(s->uv, after_uv, s);
        r = create_context(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

static HttpListener *http_listener_free(HttpListener *l)
{
        listener_free(l->listener);
        accept_filter_free(l->silent);
        free(l);
        return NULL;
}
DEFINE_CLEANUP(HttpListener *, http_listener_free);

static void free_listeners(HttpServer *s)
{
        HttpListener *l, *next;

        LL_FOREACH_SAFE(s->listeners, l, next)
                http_listener_free(l);
        s->listeners = NULL;
}

HttpServer *http_server_free(HttpServer *s)
{
        if (!s)
                return NULL;
        s->shutting_down = true;
        s->shutdown_done = NULL;
        s->available_changed = NULL;
        sd_event_source_disable_unref(s->shutdown_timer);
        sd_event_source_disable_unref(s->shutdown_idle_timer);
        sd_event_source_disable_unref(s->shutdown_defer);
        s->shutdown_timer = s->shutdown_idle_timer = s->shutdown_defer = NULL;
        free_listeners(s);
        /* On a foreign loop lws frees the context in steps, with turns of the loop between them; in the last
         * step it sets the pointer to NULL. */
        for (int i = 0; i < 1000 && s->context; i++) {
                lws_context_destroy(s->context);
                uv_bridge_pump(s->uv);
        }
        uv_bridge_free(s->uv);
        wheel_free(s->wheel);
        routes_free(s->routes);
        static_files_free(s->files);
        free(s->ws_path);
        free(s->cert_file);
        free(s->key_file);
        free(s->proxies);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}

UvBridge *http_server_uv(HttpServer *s)
{
        return s->uv;
}

void http_server_set_unavailable(HttpServer *s, const char *detail)
{
        bool changed = !s->unavailable != !detail;

        s->unavailable = detail;
        if (changed && s->available_changed)
                s->available_changed(!detail, s->available_userdata);
}

void http_server_set_available_callback(HttpServer *s, void (*changed)(bool available, void *userdata), void *userdata)
{
        s->available_changed = changed;
        s->available_userdata = userdata;
}

int http_server_reload_tls(HttpServer *s)
{
        if (!s->tls)
                return 0;
        return lws_tls_cert_updated(s->context, s->cert_file, s->key_file, NULL, 0, NULL, 0) == 0 ? 0 : -EINVAL;
}

static void pause_listeners(HttpServer *s, bool pause)
{
        HttpListener *l;

        s->listeners_paused = pause;
        LL_FOREACH(s->listeners, l)
                listener_pause(l->listener, pause);
}

static void on_request_begun(int fd, void *userdata)
{
        HttpListener *l = userdata;
        HttpServer *s = l->server;
        struct lws *wsi;

        /* On failure, lws closes fd. */
        wsi = lws_adopt_socket_vhost(l->tls ? s->tls : s->plain, fd);
        if (wsi) {
                /* lws allocates a header table at once, and searches all tables when a connection ends. It
                 * allocates one again when it reads the first header. */
                if (l->tls)
                        (void) lws_http_headers_detach(wsi);
                conn_await_request(lws_get_opaque_user_data(wsi), HTTP_HEAD_SECONDS);
        } else
                server_conn_gone(s);
        uv_bridge_kick(s->uv);
}

static void on_silent_gone(void *userdata)
{
        HttpListener *l = userdata;

        server_conn_gone(l->server);
}

/* Makes room for the connection that was just accepted, at the cost of one that has not said anything for longest, or has not come to
 * a request. */
static bool make_room(HttpServer *s)
{
        HttpListener *l;

        LL_FOREACH(s->listeners, l)
                if (accept_filter_drop_oldest(l->silent))
                        return true;
        conn_kill_oldest_waiting(s); /* takes a turn of the event loop */
        return false;
}

static void on_accepted(int fd, void *userdata)
{
        HttpListener *l = userdata;
        HttpServer *s = l->server;

        (void) accept_filter_add(l->silent, fd);
        if (server_count_conns(s) >= s->max_conns && !make_room(s))
                pause_listeners(s, true);
}

int http_server_add_listener(HttpServer *s, int fd, bool tls)
{
        _cleanup_(http_listener_freep) HttpListener *l = NULL;
        int r;

        if (tls && !s->tls)
                return -EINVAL;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->server = s;
        l->tls = tls;
        r = accept_filter_new(s->event, s->wheel, HTTP_HEAD_SECONDS, on_request_begun, on_silent_gone, l, &l->silent);
        if (r < 0)
                return r;
        r = listener_new(s->event, fd, on_accepted, l, &l->listener);
        if (r < 0)
                return r;
        LL_PREPEND(s->listeners, l);
        TAKE_PTR(l);
        return 0;
}

void http_server_set_accepting(HttpServer *s, bool accepting)
{
        if (!s->shutting_down && server_count_conns(s) < s->max_conns)
                pause_listeners(s, !accepting);
}

int http_server_set_websocket(HttpServer *s, const char *path, const WsHandler *handler, void *userdata)
{
        int r;

        r = free_and_strdup(&s->ws_path, path);
        if (r < 0)
                return r;
        s->ws_handler = *handler;
        s->ws_userdata = userdata;
        return 0;
}

void server_conn_gone(HttpServer *s)
{
        /* Thousands of connections leave holes that malloc keeps for later ones; return them when most
         * connections are gone. */
        if (s->peak_conns >= CONNS_TRIM_MIN && s->n_conns < s->peak_conns / 8) {
                (void) malloc_trim(0);
                s->peak_conns = s->n_conns;
        }
        if (s->listeners_paused && !s->shutting_down && server_count_conns(s) < s->max_conns)
                pause_listeners(s, false);
        /* From a deferred source: done may free the server, but lws is above us on the stack. */
        if (s->shutdown_defer && server_count_conns(s) == 0)
                (void) sd_event_source_set_enabled(s->shutdown_defer, SD_EVENT_ONESHOT);
}
