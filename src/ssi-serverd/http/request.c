/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http/internal.h"
#include "shared/json-util.h"
#include "shared/log.h"

#define HEADER_MAX 8192

HttpRequest *http_request_ref(HttpRequest *req)
{
        req->n_ref++;
        return req;
}

static void params_free(Param *params, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                free(params[i].name);
                free(params[i].value);
        }
}

HttpRequest *http_request_unref(HttpRequest *req)
{
        if (!req || --req->n_ref > 0)
                return NULL;
        if (req->destroy)
                req->destroy(req->userdata);
        params_free(req->params, req->n_params);
        params_free(req->query, req->n_query);
        json_object_put(req->json);
        free(req->query);
        free(req->path);
        free(req->authorization);
        free(req->content_type);
        free(req->if_none_match);
        free(req->user_agent);
        free(req->peer);
        free(req->body);
        free(req->headers);
        free(req);
        return NULL;
}
DEFINE_CLEANUP(HttpRequest *, http_request_unref);

void request_detach(HttpConn *c)
{
        HttpRequest *req = TAKE_PTR(c->request);

        if (!req)
                return;
        request_answered(req);
        req->conn = NULL;
        req->state = REQUEST_ANSWERED;
        http_request_unref(req);
}

static const char *params_find(const Param *params, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (streq(params[i].name, name))
                        return params[i].value;
        return NULL;
}

const char *http_request_param(HttpRequest *req, const char *name)
{
        return params_find(req->params, req->n_params, name);
}

const char *http_request_query(HttpRequest *req, const char *name)
{
        return params_find(req->query, req->n_query, name);
}

bool http_request_query_at(HttpRequest *req, size_t i, const char **ret_name, const char **ret_value)
{
        if (i >= req->n_query)
                return false;
        *ret_name = req->query[i].name;
        *ret_value = req->query[i].value;
        return true;
}

const char *http_request_authorization(HttpRequest *req)
{
        return req->authorization;
}

const char *http_request_user_agent(HttpRequest *req)
{
        return req->user_agent;
}

const char *http_request_path(HttpRequest *req)
{
        return req->path;
}

const char *http_request_peer(HttpRequest *req)
{
        return req->peer;
}

bool http_request_is_local(HttpRequest *req)
{
        return req->local;
}

bool http_request_is_from_here(HttpRequest *req)
{
        return req->from_here;
}

void http_request_set_userdata(HttpRequest *req, void *userdata, void (*destroy)(void *))
{
        if (req->destroy)
                req->destroy(req->userdata);
        req->userdata = userdata;
        req->destroy = destroy;
}

/* "application/json", possibly with parameters. */
static bool content_type_is_json(const char *type)
{
        const char *rest;

        if (!type || strncasecmp(type, "application/json", strlen("application/json")) != 0)
                return false;
        rest = type + strlen("application/json");
        return *rest == '\0' || *rest == ';' || *rest == ' ';
}

/* Whether a string of the valid JSON has a character that C and PostgreSQL cannot keep in one. Outside of strings there is no backslash. */
static bool json_has_nul(const char *s, size_t n)
{
        for (size_t i = 0; i + 1 < n; i++)
                if (s[i] == '\\' && s[++i] == 'u' && n - i > 4 && memcmp(s + i + 1, "0000", 4) == 0)
                        return true;
        return false;
}

json_object *http_request_json(HttpRequest *req)
{
        _cleanup_json_ json_object *o = NULL;

        if (req->json)
                return req->json;
        if (!content_type_is_json(req->content_type)) {
                http_respond_problem(req, 415, "unsupported-media-type", "The body must be application/json.");
                return NULL;
        }
        if (json_parse(strempty(req->body), req->body_size, &o) < 0 || !json_object_is_type(o, json_type_object)) {
                http_respond_problem(req, 400, "bad-json", "The body is not a JSON object.");
                return NULL;
        }
        if (json_has_nul(req->body, req->body_size)) {
                http_respond_problem(req, 400, "bad-json", "A string of the body contains the character U+0000.");
                return NULL;
        }
        req->json = TAKE_PTR(o);
        return req->json;
}

/* 0 with NULL if the header is absent; -EBADMSG if it is too long or not plain text. */
int header_dup(struct lws *wsi, enum lws_token_indexes header, char **ret)
{
        char buffer[HEADER_MAX];
        char *copy = NULL;
        int n;

        n = lws_hdr_total_length(wsi, header);
        if (n > 0) {
                n = lws_hdr_copy(wsi, buffer, sizeof(buffer), header);
                if (n < 0 || strlen(buffer) != (size_t) n || !utf8_is_valid(buffer, (size_t) n))
                        return -EBADMSG;
                copy = strdup(buffer);
                if (!copy)
                        return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

static int parse_query(HttpRequest *req, struct lws *wsi)
{
        char buffer[HEADER_MAX];
        int n;

        for (int i = 0; (n = lws_hdr_copy_fragment(wsi, buffer, sizeof(buffer), WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
             i++) {
                char *equals = strchr(buffer, '=');
                Param p = {}, *params;

                if (n == 0)
                        continue;
                if (strlen(buffer) != (size_t) n || !utf8_is_valid(buffer, (size_t) n))
                        return -EBADMSG;
                if (equals)
                        *equals = '\0';
                /* Of two values, a proxy or a log may take the other one. */
                if (req->n_query >= HTTP_QUERY_MAX || params_find(req->query, req->n_query, buffer))
                        return -EBADMSG;
                params = reallocarray(req->query, req->n_query + 1, sizeof(*params));
                if (!params)
                        return -ENOMEM;
                req->query = params;
                p.name = strdup(buffer);
                p.value = strdup(equals ? equals + 1 : "");
                if (!p.name || !p.value) {
                        params_free(&p, 1);
                        return -ENOMEM;
                }
                req->query[req->n_query++] = p;
        }
        return 0;
}

static int parse_path(HttpRequest *req, const char *uri, size_t n)
{
        /* Not for proxies: lws has already refused most of what does not begin with a slash, with 403. */
        if (n == 0 || uri[0] != '/')
                return -EBADMSG;
        if (!utf8_is_valid(uri, n))
                return -EBADMSG;
        for (size_t i = 0; i < n; i++)
                if ((unsigned char) uri[i] < ' ' || uri[i] == 0x7f)
                        return -EBADMSG;
        req->path = strndup(uri, n);
        return req->path ? 0 : -ENOMEM;
}

static int request_new(HttpConn *c, int method, HttpRequest **ret)
{
        HttpRequest *req;

        req = calloc(1, sizeof(*req));
        if (!req)
                return -ENOMEM;
        req->n_ref = 1;
        req->conn = c;
        req->close = c->server->shutting_down;
        req->head = method == LWSHUMETH_HEAD;
        req->from_here = (peer_is_loopback(c->peer) || streq(c->peer, "local")) && message_is_direct(c->wsi);
        req->local = req->from_here && peer_is_loopback(c->peer);
        req->method = req->head ? LWSHUMETH_GET : method;
        *ret = req;
        return 0;
}

static int parse_headers(HttpRequest *req, HttpConn *c, const char *uri, size_t uri_size)
{
        _cleanup_free_ char *forwarded = NULL;
        int r;

        /* First: the log names the peer of a bad request, too. */
        r = header_dup(c->wsi, WSI_TOKEN_X_FORWARDED_FOR, &forwarded);
        if (r == -ENOMEM)
                return r;
        r = client_address(c->server, c->peer, forwarded, &req->peer);
        if (r < 0)
                return r;
        if (!message_is_valid(c->wsi))
                return -EBADMSG;
        r = parse_path(req, uri, uri_size);
        if (r < 0)
                return r;
        r = parse_query(req, c->wsi);
        if (r < 0)
                return r;
        r = header_dup(c->wsi, WSI_TOKEN_HTTP_AUTHORIZATION, &req->authorization);
        if (r < 0)
                return r;
        r = header_dup(c->wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, &req->content_type);
        if (r < 0)
                return r;
        r = header_dup(c->wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH, &req->if_none_match);
        if (r < 0)
                return r;
        return header_dup(c->wsi, WSI_TOKEN_HTTP_USER_AGENT, &req->user_agent);
}

/* 0 without a body, 1 with one, or an HTTP status if it cannot be accepted. */
static int parse_length(HttpRequest *req, HttpConn *c)
{
        _cleanup_free_ char *length = NULL;
        char *end;

        if (lws_hdr_total_length(c->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
                return 411;
        if (header_dup(c->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, &length) < 0)
                return 400;
        if (!length)
                return req->method == LWSHUMETH_POST || req->method == LWSHUMETH_PUT || req->method == LWSHUMETH_PATCH ?
                               411 :
                               0;
        if (length[0] < '0' || length[0] > '9')
                return 400;
        errno = 0;
        req->body_length = strtoul(length, &end, 10);
        if (errno == ERANGE)
                return 413;
        if (*end != '\0')
                return 400;
        if (req->body_length > c->server->body_max)
                return 413;
        return req->body_length > 0;
}

static void on_pending_timeout(WheelTimer *t, void *userdata)
{
        HttpConn *c = userdata;

        if (c->request)
                http_respond_problem(c->request, 503, "timeout", "The request timed out.");
}

static void on_body_timeout(WheelTimer *t, void *userdata)
{
        conn_kill(userdata);
}

static void request_dispatch(HttpConn *c)
{
        _cleanup_(http_request_unrefp) HttpRequest *req = http_request_ref(c->request);

        const char *const *before;

        req->state = REQUEST_PENDING;
        before = http_request_log_enter(req);
        route_dispatch(c->server, req);
        log_set_fields(before);
}

static int request_ready(HttpConn *c)
{
        c->request->state = REQUEST_READY;
        wheel_arm(c->server->wheel, &c->timer, HTTP_REQUEST_SECONDS, on_pending_timeout, c);
        conn_defer(c, request_dispatch);
        return 0;
}

static int request_refuse(HttpRequest *req, int status)
{
        req->close = true;
        switch (status) {
        case 411:
                http_respond_problem(req, 411, "length-required", "Send a Content-Length header with the body.");
                break;
        case 413:
                http_respond_problem(req, 413, "too-large", "The body is too large.");
                break;
        default:
                http_respond_problem(req, 400, "bad-request", "The request line or a header is malformed.");
        }
        return 0;
}

int request_begin(HttpConn *c, int method, const char *uri, size_t uri_size)
{
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        HttpRequest *req;
        int r;

        r = request_new(c, method, &req);
        if (r < 0)
                return r;
        c->request = req;
        request_identify(req, c->wsi);
        r = parse_headers(req, c, uri, uri_size);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                /* Only a Content-Length announces a body here. */
                req->body_length = lws_hdr_total_length(c->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
                return request_refuse(req, 400);
        }
        r = parse_length(req, c);
        if (r > 1) {
                /* There is a body even if its length is unknown. */
                req->body_length = MAX(req->body_length, 1U);
                return request_refuse(req, r);
        }
        if (r == 0) {
                /* lws reports the completion of an empty POST, but of no other empty body. */
                if (req->method == LWSHUMETH_POST)
                        return 0;
                return request_ready(c);
        }
        wheel_arm(c->server->wheel, &c->timer, HTTP_BODY_SECONDS, on_body_timeout, c);
        if (lws_hdr_total_length(c->wsi, WSI_TOKEN_HTTP_EXPECT) > 0) {
                unsigned char buffer[LWS_PRE + sizeof(go_on)];

                memcpy(buffer + LWS_PRE, go_on, sizeof(go_on));
                if (lws_write(c->wsi, buffer + LWS_PRE, strlen(go_on), LWS_WRITE_HTTP) < 0)
                        return -EPIPE;
        }
        return 0;
}

/* Grows with what arrives, not with what is announced. */
static int body_reserve(HttpConn *c, HttpRequest *req, size_t need)
{
        size_t want = MIN(MAX(need, 2 * req->body_allocated), req->body_length);
        char *body;

        if (need <= req->body_allocated)
                return 0;
        body = realloc(req->body, want);
        if (!body)
                return -ENOMEM;
        req->body = body;
        req->body_allocated = want;
        conn_hold(c, want);
        return 0;
}

int request_body(HttpConn *c, const void *data, size_t n)
{
        HttpRequest *req = c->request;
        int r;

        if (n == 0)
                return 0;
        if (!req || req->state != REQUEST_BODY || n > req->body_length - req->body_size)
                return -EPROTO;
        r = body_reserve(c, req, req->body_size + n);
        if (r < 0)
                return r;
        memcpy(req->body + req->body_size, data, n);
        req->body_size += n;
        return 0;
}

int request_body_complete(HttpConn *c)
{
        if (!c->request || c->request->state != REQUEST_BODY || c->request->body_size != c->request->body_length)
                return -EPROTO;
        conn_hold(c, 0);
        return request_ready(c);
}
