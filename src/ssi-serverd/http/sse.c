/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http/internal.h"
#include "http/parts.h"

/* The most that one write takes from the queue. */
#define SSE_WRITE_MAX ((size_t) 64 * 1024)

/* Of a body in parts. */
#define PARTS_QUEUE_MAX ((size_t) 8 * 1024 * 1024)

struct SseStream {
        HttpConn *conn;
        void (*closed)(SseStream *stream, void *userdata);
        void (*drained)(SseStream *stream, void *userdata); /* of a body in parts, otherwise NULL */
        void *userdata;
        char *queue;        /* begins with LWS_PRE bytes reserved for lws */
        size_t start, size; /* what remains to be sent; offsets after that room */
        size_t allocated;
        WheelTimer comment;
        bool closing;
};

static int queue_reserve(SseStream *s, size_t n)
{
        size_t need = s->size - s->start + n, want;
        char *queue;

        if (need > (s->drained ? PARTS_QUEUE_MAX : SSE_QUEUE_MAX))
                return -ENOBUFS;
        if (s->start > 0) {
                memmove(s->queue + LWS_PRE, s->queue + LWS_PRE + s->start, s->size - s->start);
                s->size -= s->start;
                s->start = 0;
        }
        if (need <= s->allocated)
                return 0;
        want = MAX(need, MIN(s->allocated * 2, SSE_QUEUE_MAX));
        queue = realloc(s->queue, LWS_PRE + want);
        if (!queue)
                return -ENOMEM;
        s->queue = queue;
        s->allocated = want;
        return 0;
}

static void queue_append(SseStream *s, const char *data, size_t n)
{
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): there is room: queue_reserve() came before */
        memcpy(s->queue + LWS_PRE + s->size, data, n);
        s->size += n;
}

static void on_comment(WheelTimer *t, void *userdata)
{
        SseStream *s = userdata;

        wheel_arm(s->conn->server->wheel, &s->comment, SSE_COMMENT_SECONDS, on_comment, s);
        if (s->size == s->start && queue_reserve(s, 3) >= 0) {
                queue_append(s, ":\n\n", 3);
                conn_want_write(s->conn);
        }
}

static void on_stalled(WheelTimer *t, void *userdata)
{
        conn_kill(((SseStream *) userdata)->conn);
}

static void watch(SseStream *s)
{
        if (s->drained)
                wheel_arm(s->conn->server->wheel, &s->comment, HTTP_REQUEST_SECONDS, on_stalled, s);
        else
                wheel_arm(s->conn->server->wheel, &s->comment, SSE_COMMENT_SECONDS, on_comment, s);
}

static SseStream *respond_stream(HttpRequest *req, const char *content_type,
                                 void (*closed)(SseStream *stream, void *userdata),
                                 void (*drained)(SseStream *stream, void *userdata), void *userdata)
{
        _cleanup_free_ char *head = NULL;
        HttpConn *c = req->conn;
        size_t head_size;
        SseStream *s;

        if (!c || req->state == REQUEST_ANSWERED)
                return NULL;
        req->close = true;
        head = respond_head(req, c, 200, content_type, SIZE_MAX, "no-store", &head_size);
        s = calloc(1, sizeof(*s));
        if (!head || !s || queue_reserve(s, head_size) < 0) {
                free(s);
                conn_kill(c);
                return NULL;
        }
        queue_append(s, head, head_size);
        respond_observe(req, 200);
        s->conn = c;
        s->closed = closed;
        s->drained = drained;
        s->userdata = userdata;
        s->closing = req->head;
        wheel_disarm(c->server->wheel, &c->timer);
        watch(s);
        request_detach(c);
        c->sse = s;
        conn_want_write(c);
        return s;
}

SseStream *http_respond_sse(HttpRequest *req, void (*closed)(SseStream *stream, void *userdata), void *userdata)
{
        return respond_stream(req, "text/event-stream; charset=utf-8", closed, NULL, userdata);
}

SseStream *http_respond_parts(HttpRequest *req, const char *content_type,
                              void (*closed)(SseStream *stream, void *userdata),
                              void (*drained)(SseStream *stream, void *userdata), void *userdata)
{
        if (http_respond_add_header(req, "Transfer-Encoding", "chunked") < 0)
                return NULL;
        return respond_stream(req, content_type, closed, drained, userdata);
}

int http_parts_write(SseStream *s, const char *data, size_t n)
{
        char size[24];
        int r, m;

        if (s->closing)
                return -ESHUTDOWN;
        if (n == 0)
                return 0; /* a chunk without bytes is the last one */
        m = snprintf(size, sizeof(size), "%zx\r\n", n);
        r = queue_reserve(s, (size_t) m + n + 2);
        if (r < 0) {
                sse_close(s);
                return r;
        }
        queue_append(s, size, (size_t) m);
        queue_append(s, data, n);
        queue_append(s, "\r\n", 2);
        conn_want_write(s->conn);
        return 0;
}

void http_parts_end(SseStream *s)
{
        if (!s->closing && queue_reserve(s, 5) >= 0)
                queue_append(s, "0\r\n\r\n", 5);
        sse_close(s);
}

static bool is_one_line(const char *s, size_t n)
{
        return !memchr(s, '\n', n) && !memchr(s, '\r', n);
}

int sse_send(SseStream *s, const char *event, const char *data, size_t data_len)
{
        size_t event_len = strlen(event);
        int r;

        if (s->closing)
                return -ESHUTDOWN;
        if (!is_one_line(event, event_len) || !is_one_line(data, data_len))
                return -EINVAL;
        r = queue_reserve(s, event_len + data_len + strlen("event: \ndata: \n\n"));
        if (r < 0) {
                /* A client that reconnects reads the lists again; one that missed an event must
                 * reconnect. */
                s->closing = true;
                conn_kill(s->conn);
                return r;
        }
        queue_append(s, "event: ", 7);
        queue_append(s, event, event_len);
        queue_append(s, "\ndata: ", 7);
        queue_append(s, data, data_len);
        queue_append(s, "\n\n", 2);
        conn_want_write(s->conn);
        return 0;
}

void sse_close(SseStream *s)
{
        s->closing = true;
        conn_want_write(s->conn);
}

int sse_on_writable(SseStream *s)
{
        size_t n = MIN(s->size - s->start, SSE_WRITE_MAX);

        if (n > 0) {
                if (lws_write(s->conn->wsi, (unsigned char *) s->queue + LWS_PRE + s->start, n, LWS_WRITE_HTTP) < 0)
                        return -EPIPE;
                s->start += n;
                if (s->drained)
                        watch(s);
        }
        if (s->start < s->size)
                conn_want_write(s->conn);
        else {
                s->start = s->size = 0;
                if (s->drained && n > 0 && !s->closing)
                        s->drained(s, s->userdata);
        }
        return s->closing && s->size == 0 ? -ESHUTDOWN : 0;
}

void sse_detach(SseStream *s)
{
        s->conn->sse = NULL;
        wheel_disarm(s->conn->server->wheel, &s->comment);
        s->closed(s, s->userdata);
        free(s->queue);
        free(s);
}
