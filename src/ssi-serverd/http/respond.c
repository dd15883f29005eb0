/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "http/internal.h"
#include "shared/json-util.h"
#include "shared/time-util.h"

#define HEADERS_MAX 8192

/* For every answer: scripts, styles and connections from this origin only, nothing inline, no framing by
 * others. */
static const char security_headers[] =
        "Content-Security-Policy: default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; object-src 'none'\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Referrer-Policy: no-referrer\r\n"
        "Cross-Origin-Opener-Policy: same-origin\r\n"
        /* The dashboard needs none of these, so nobody who gets a script into it does either. */
        "Permissions-Policy: accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), "
        "midi=(), payment=(), serial=(), usb=()\r\n";
static const char resource_same_origin[] = "Cross-Origin-Resource-Policy: same-origin\r\n";
static const char resource_cross_origin[] = "Cross-Origin-Resource-Policy: cross-origin\r\n";
static const char security_headers_tls[] = "Strict-Transport-Security: max-age=31536000\r\n";
/* No browser shows an answer of the API as a page, or saves it under a name that somebody else has chosen. */
static const char attachment[] = "Content-Disposition: attachment; filename=\"api.json\"\r\n";

const char *status_phrase(int status)
{
        static const struct {
                int status;
                const char *phrase;
        } phrases[] = {
                { 200, "OK" },
                { 201, "Created" },
                { 202, "Accepted" },
                { 204, "No Content" },
                { 302, "Found" },
                { 304, "Not Modified" },
                { 400, "Bad Request" },
                { 401, "Unauthorized" },
                { 403, "Forbidden" },
                { 404, "Not Found" },
                { 405, "Method Not Allowed" },
                { 409, "Conflict" },
                { 410, "Gone" },
                { 411, "Length Required" },
                { 413, "Content Too Large" },
                { 415, "Unsupported Media Type" },
                { 422, "Unprocessable Content" },
                { 426, "Upgrade Required" },
                { 429, "Too Many Requests" },
                { 500, "Internal Server Error" },
                { 501, "Not Implemented" },
                { 503, "Service Unavailable" },
        };

        for (size_t i = 0; i < ELEMENTSOF(phrases); i++)
                if (phrases[i].status == status)
                        return phrases[i].phrase;
        return "Unknown";
}

static void format_date(char *buffer, size_t n)
{
        time_t now = time(NULL);
        struct tm tm;

        /* The locale is never set: the names are English. */
        strftime(buffer, n, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
}

static bool is_api_json(const HttpRequest *req, const char *content_type)
{
        return req && req->path && (startswith(req->path, "/api/") || startswith(req->path, "/public/")) &&
               content_type && startswith(content_type, "application/") && endswith(content_type, "json");
}

char *respond_head(HttpRequest *req, HttpConn *c, int status, const char *content_type, size_t content_length,
                   const char *cache_control, size_t *ret_size)
{
        _cleanup_free_ char *head = NULL;
        char date[64], length[64] = "";
        bool close = !req || req->close;
        int n;

        if (req)
                req->status = status;
        format_date(date, sizeof(date));
        if (content_length != SIZE_MAX && status != 204 && status != 304)
                snprintf(length, sizeof(length), "Content-Length: %zu\r\n", content_length);
        n = asprintf(&head, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s\r\n", status,
                     status_phrase(status), date, content_type ? "Content-Type: " : "", strempty(content_type),
                     content_type ? "\r\n" : "", length, cache_control ? "Cache-Control: " : "",
                     strempty(cache_control), cache_control ? "\r\n" : "", security_headers,
                     req && req->embeddable ? resource_cross_origin : resource_same_origin,
                     c->tls ? security_headers_tls : "", is_api_json(req, content_type) ? attachment : "",
                     req ? "X-Request-Id: " : "", req ? req->id : "", req ? "\r\n" : "",
                     req ? strempty(req->headers) : "", close ? "Connection: close\r\n" : "");
        if (n < 0) {
                head = NULL; /* undefined after a failure */
                return NULL;
        }
        *ret_size = (size_t) n;
        return TAKE_PTR(head);
}

void respond_observe(HttpRequest *req, int status)
{
        HttpServer *s = req->conn->server;

        if (s->answered)
                s->answered(method_name(req->method), req->route ?: "other", status,
                            req->begun > 0 ? now_usec(CLOCK_MONOTONIC) - req->begun : 0, s->answered_userdata);
}

void request_begun(HttpRequest *req, const char *route)
{
        req->route = route;
        req->begun = now_usec(CLOCK_MONOTONIC);
}

void http_server_set_observer(HttpServer *s,
                              void (*answered)(const char *method, const char *route, int status, uint64_t usec,
                                               void *userdata),
                              void *userdata)
{
        s->answered = answered;
        s->answered_userdata = userdata;
}

void respond_bytes(HttpRequest *req, int status, const char *content_type, const char *cache_control, const void *data,
                   size_t n)
{
        _cleanup_free_ char *head = NULL;
        HttpConn *c = req->conn;
        size_t head_size;

        if (!c || req->state == REQUEST_ANSWERED)
                return;
        head = respond_head(req, c, status, content_type, n, cache_control, &head_size);
        if (!head) {
                conn_kill(c);
                return;
        }
        respond_observe(req, status);
        conn_answer(c, head, head_size, req->head ? NULL : data, req->head ? 0 : n, req->close);
}

void http_respond_data(HttpRequest *req, int status, const char *content_type, const void *data, size_t n)
{
        respond_bytes(req, status, content_type, "no-store", data, n);
}

static int problem_new(int status, const char *type, const char *detail, json_object **ret)
{
        _cleanup_json_ json_object *o = NULL;
        char urn[128];

        snprintf(urn, sizeof(urn), "urn:ssi:problem:%s", type);
        o = json_object_new_object();
        if (!o || json_add_string(o, "type", urn) < 0 || json_add_string(o, "title", status_phrase(status)) < 0 ||
            json_add_int64(o, "status", status) < 0 || (detail && json_add_string(o, "detail", detail) < 0))
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static const char *json_text(json_object *o, size_t *ret_size)
{
        return json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, ret_size);
}

void http_respond_json(HttpRequest *req, int status, json_object *body_taken)
{
        _cleanup_json_ json_object *o = body_taken;
        const char *text;
        size_t n;

        text = o ? json_text(o, &n) : NULL;
        if (text)
                respond_bytes(req, status, "application/json", "no-store", text, n);
        else
                http_respond_problem(req, 500, "out-of-memory", NULL);
}

void http_respond_empty(HttpRequest *req, int status)
{
        respond_bytes(req, status, NULL, "no-store", NULL, 0);
}

void http_respond_problem(HttpRequest *req, int status, const char *type, const char *detail)
{
        _cleanup_json_ json_object *o = NULL;
        const char *text = NULL;
        size_t n = 0;

        if (problem_new(status, type, detail, &o) >= 0)
                text = json_text(o, &n);
        respond_bytes(req, status, text ? "application/problem+json" : NULL, "no-store", text, text ? n : 0);
}

void respond_refuse(HttpConn *c, int status, const char *type, const char *detail)
{
        _cleanup_json_ json_object *o = NULL;
        _cleanup_free_ char *head = NULL;
        const char *text = NULL;
        size_t n = 0, head_size;

        if (problem_new(status, type, detail, &o) >= 0)
                text = json_text(o, &n);
        head = respond_head(NULL, c, status, text ? "application/problem+json" : NULL, n, "no-store", &head_size);
        if (head)
                conn_answer(c, head, head_size, text, n, true);
}

void http_respond_embeddable(HttpRequest *req)
{
        req->embeddable = true;
}

int http_respond_add_header(HttpRequest *req, const char *name, const char *value)
{
        char *headers;

        /* Nothing that could end this header and start another. */
        if (strpbrk(name, "\r\n: ") || strpbrk(value, "\r\n"))
                return -EINVAL;
        if (req->headers && strlen(req->headers) + strlen(name) + strlen(value) + 4 > HEADERS_MAX)
                return -E2BIG;
        if (asprintf(&headers, "%s%s: %s\r\n", strempty(req->headers), name, value) < 0)
                return -ENOMEM;
        free(req->headers);
        req->headers = headers;
        return 0;
}
