/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/random.h>
#include <time.h>

#include "http/internal.h"
#include "shared/log.h"
#include "shared/time-util.h"

static bool id_is_usable(const char *s, size_t n)
{
        return n > 0 && n <= HTTP_REQUEST_ID_MAX &&
               strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* The id given by the client or by the proxy before us, so that its log and ours can be matched. */
void request_identify(HttpRequest *req, struct lws *wsi)
{
        static const char header[] = "x-request-id:";
        char value[HTTP_REQUEST_ID_MAX + 2] = "";
        unsigned char random[16];
        int n;

        n = lws_hdr_custom_copy(wsi, value, sizeof(value), header, strlen(header));
        if (n > 0 && id_is_usable(value, strlen(value))) {
                snprintf(req->id, sizeof(req->id), "%s", value);
                return;
        }
        if (getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
                memset(random, 0, sizeof(random));
        for (size_t i = 0; i < sizeof(random); i++)
                snprintf(req->id + 2 * i, 3, "%02x", random[i]);
}

/* Fills in the log fields of the request. */
static void fill_fields(HttpRequest *req)
{
        size_t n = 0;

        snprintf(req->log_id, sizeof(req->log_id), "SSI_REQUEST_ID=%s", req->id);
        req->log_fields[n++] = req->log_id;
        if (req->route) {
                snprintf(req->log_route, sizeof(req->log_route), "SSI_ROUTE=%s %s", method_name(req->method),
                         req->route);
                req->log_fields[n++] = req->log_route;
        }
        if (req->user[0]) {
                snprintf(req->log_user, sizeof(req->log_user), "SSI_USER=%s", req->user);
                req->log_fields[n++] = req->log_user;
        }
        req->log_fields[n] = NULL;
}

const char *const *http_request_log_enter(HttpRequest *req)
{
        fill_fields(req);
        return log_set_fields(req->log_fields);
}

void http_request_set_user(HttpRequest *req, const char *user)
{
        snprintf(req->user, sizeof(req->user), "%s", user);
        if (req->log_fields[0])
                fill_fields(req);
}

void request_answered(HttpRequest *req)
{
        HttpServer *s = req->conn->server;
        HttpAnswer answer = {
                .method = req->head ? "HEAD" : method_name(req->method),
                .path = req->route && !streq(req->route, "static") ? req->route : req->path,
                .peer = req->peer,
                .status = req->status,
                .duration_usec = req->begun > 0 ? now_usec(CLOCK_MONOTONIC) - req->begun : 0,
        };
        const char *const *before;

        if (!s->logged || req->status == 0)
                return;
        before = http_request_log_enter(req);
        s->logged(&answer, s->logged_userdata);
        log_set_fields(before);
}

void http_server_set_access_log(HttpServer *s, void (*answered)(const HttpAnswer *a, void *userdata), void *userdata)
{
        s->logged = answered;
        s->logged_userdata = userdata;
}
