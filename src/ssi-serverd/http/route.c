/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http/internal.h"
#include "http/static-files.h"

void routes_free(Route *routes)
{
        Route *r, *next;

        LL_FOREACH_SAFE(routes, r, next) {
                free(r->method);
                free(r->pattern);
                free(r);
        }
}

const char *method_name(int method)
{
        switch (method) {
        case LWSHUMETH_GET:
                return "GET";
        case LWSHUMETH_POST:
                return "POST";
        case LWSHUMETH_PUT:
                return "PUT";
        case LWSHUMETH_PATCH:
                return "PATCH";
        case LWSHUMETH_DELETE:
                return "DELETE";
        default:
                return "";
        }
}

int http_server_add_route(HttpServer *s, const char *method, const char *pattern, http_handler_t handler,
                          void *userdata)
{
        Route *r;

        LL_FOREACH(s->routes, r)
                if (streq(r->method, method) && streq(r->pattern, pattern)) {
                        r->handler = handler;
                        r->userdata = userdata;
                        return 0;
                }
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->handler = handler;
        r->userdata = userdata;
        r->method = strdup(method);
        r->pattern = strdup(pattern);
        if (!r->method || !r->pattern) {
                routes_free(r);
                return -ENOMEM;
        }
        LL_APPEND(s->routes, r);
        return 0;
}

static void params_clear(HttpRequest *req)
{
        while (req->n_params > 0) {
                Param *p = &req->params[--req->n_params];

                free(p->name);
                free(p->value);
                *p = (Param){};
        }
}

/* 1 with the parameters set if the path matches, 0 if not. A parameter matches one non-empty segment. */
static int route_match(const char *pattern, HttpRequest *req)
{
        const char *path = req->path;

        params_clear(req);
        for (;;) {
                size_t n = strcspn(pattern, "/"), m = strcspn(path, "/");

                if (pattern[0] == ':') {
                        Param *p = &req->params[req->n_params];

                        if (m == 0 || req->n_params >= HTTP_PARAMS_MAX)
                                return 0;
                        p->name = strndup(pattern + 1, n - 1);
                        p->value = strndup(path, m);
                        req->n_params++;
                        if (!p->name || !p->value) {
                                params_clear(req);
                                return -ENOMEM;
                        }
                } else if (n != m || memcmp(pattern, path, n) != 0)
                        return 0;
                pattern += n;
                path += m;
                if (*pattern != *path)
                        return 0;
                if (*pattern == '\0')
                        return 1;
                pattern++;
                path++;
        }
}

/* Appends the method of a route that matches the path to the Allow list. */
static int allow_append(char **allow, const Route *r)
{
        const char *also = streq(r->method, "GET") ? ", HEAD" : "";
        char *s;

        if (asprintf(&s, "%s%s%s%s", strempty(*allow), *allow ? ", " : "", r->method, also) < 0)
                return -ENOMEM;
        free(*allow);
        *allow = s;
        return 0;
}

static void respond_not_allowed(HttpRequest *req, const char *allow)
{
        if (http_respond_add_header(req, "Allow", allow) < 0)
                http_respond_problem(req, 500, "out-of-memory", NULL);
        else
                http_respond_problem(req, 405, "method-not-allowed", "The method is not allowed for this resource.");
}

void route_dispatch(HttpServer *s, HttpRequest *req)
{
        _cleanup_free_ char *allow = NULL;
        bool api = streq(req->path, "/api") || startswith(req->path, "/api/");
        Route *r;

        if (api && s->unavailable) {
                (void) http_respond_add_header(req, "Retry-After", "2");
                http_respond_problem(req, 503, "unavailable", s->unavailable);
                return;
        }
        LL_FOREACH(s->routes, r) {
                int match = route_match(r->pattern, req);

                if (match > 0 && streq(r->method, method_name(req->method))) {
                        request_begun(req, r->pattern);
                        (void) http_request_log_enter(req);
                        r->handler(req, r->userdata);
                        return;
                }
                if (match < 0 || (match > 0 && allow_append(&allow, r) < 0)) {
                        http_respond_problem(req, 500, "out-of-memory", NULL);
                        return;
                }
        }
        params_clear(req);
        if (allow)
                respond_not_allowed(req, allow);
        else if (api || !s->files)
                http_respond_problem(req, 404, "not-found", "The resource does not exist.");
        else if (req->method != LWSHUMETH_GET)
                respond_not_allowed(req, "GET, HEAD");
        else {
                request_begun(req, "static");
                static_files_serve(s->files, req);
        }
}
