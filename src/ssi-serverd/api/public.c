/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/server.h"
#include "auth/token.h"
#include "api/public.sql.h"

/* A server's public page: shows only its state, to everyone who knows the address. */

static void public_found(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0)
                (void) http_respond_add_header(c->req, "Access-Control-Allow-Origin", "*");
        api_done_200(c, res, error);
}

static void get_public(ApiCall *c)
{
        api_query(c, SQL(get_public, .token = http_request_param(c->req, "token")), public_found);
}

/* ---- The badge ---- */

#define CHAR_WIDTH 7 /* px, a generous estimate for the badge's 11 px sans-serif */

static void put_xml(FILE *f, const char *s)
{
        for (; *s; s++)
                switch (*s) {
                case '<':
                        fputs("&lt;", f);
                        break;
                case '>':
                        fputs("&gt;", f);
                        break;
                case '&':
                        fputs("&amp;", f);
                        break;
                case '"':
                        fputs("&quot;", f);
                        break;
                case '\'':
                        fputs("&#39;", f);
                        break;
                default:
                        fputc(*s, f);
                }
}

static unsigned count_characters(const char *s)
{
        unsigned n = 0;

        for (; *s; s++)
                n += ((unsigned char) *s & 0xc0) != 0x80;
        return n;
}

static void put_label(FILE *f, const char *text, unsigned x, unsigned width)
{
        fprintf(f, "<text x=\"%u\" y=\"14\" text-anchor=\"middle\" textLength=\"%u\">", x + width / 2, width - 10);
        put_xml(f, text);
        fputs("</text>", f);
}

static const char *badge_colour(const char *status)
{
        static const struct {
                const char *status, *colour;
        } colours[] = {
                { "OK", "#1a7f37" },
                { "UPDATE", "#0969da" },
                { "WARNING", "#9a6700" },
                { "FAILURE", "#cf222e" },
        };

        for (size_t i = 0; i < ELEMENTSOF(colours); i++)
                if (streq(colours[i].status, status))
                        return colours[i].colour;
        return "#57606a";
}

static int badge_new(const char *name, const char *status, char **ret, size_t *ret_size)
{
        unsigned left = count_characters(name) * CHAR_WIDTH + 10, right = count_characters(status) * CHAR_WIDTH + 10;
        FILE *f;

        f = open_memstream(ret, ret_size);
        if (!f)
                return -ENOMEM;
        fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"20\" role=\"img\" aria-label=\"",
                left + right);
        put_xml(f, name);
        fputs(": ", f);
        put_xml(f, status);
        fprintf(f,
                "\"><rect width=\"%u\" height=\"20\" rx=\"3\" fill=\"#24292f\"/>"
                "<rect x=\"%u\" width=\"%u\" height=\"20\" rx=\"3\" fill=\"%s\"/>"
                "<g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">",
                left + right, left, right, badge_colour(status));
        put_label(f, name, 0, left);
        put_label(f, status, left, right);
        fputs("</g></svg>\n", f);
        if (fclose(f) != 0) {
                free(*ret);
                return -ENOMEM;
        }
        return 0;
}

/* The row: the name and the state to show. */
static void badge_found(ApiCall *c, PGresult *res, int error)
{
        _cleanup_free_ char *svg = NULL;
        size_t n;

        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else if (badge_new(PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), &svg, &n) < 0) {
                svg = NULL;
                api_fail(c, NULL, -ENOMEM);
        } else {
                http_respond_embeddable(c->req);
                http_respond_data(c->req, 200, "image/svg+xml; charset=utf-8", svg, n);
        }
}

static void get_badge(ApiCall *c)
{
        api_query(c, SQL(get_badge, .token = http_request_param(c->req, "token")), badge_found);
}

/* ---- The owner's side ---- */

/* The row: the page, the server, its team. */
static void page_made(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0)
                backend_publish_one(c->backend, CHANGE_SERVER, PQgetvalue(res, 0, 2), PQgetvalue(res, 0, 1), NULL);
        api_done_200(c, res, error);
}

static void put_page(ApiCall *c)
{
        char token[TOKEN_MAX];

        token_new("page", token);

        api_query(c,
                  SQL(put_page, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"), .token = token,
                      .actor = api_actor(c)),
                  page_made);
}

static void page_deleted(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else {
                backend_publish_one(c->backend, CHANGE_SERVER, PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 0), NULL);
                http_respond_empty(c->req, 204);
        }
}

static void delete_page(ApiCall *c)
{
        api_query(c,
                  SQL(delete_page, API_CALLER(c), .server_id = http_request_param(c->req, "server_id"),
                      .actor = api_actor(c)),
                  page_deleted);
}

const ApiRoute api_public_routes[] = {
        { "PUT", "/api/v1/servers/:server_id/public-page", API_WRITE, put_page },
        { "DELETE", "/api/v1/servers/:server_id/public-page", API_WRITE, delete_page },
        { "GET", "/public/:token", API_OPEN, get_public },
        { "GET", "/public/:token/badge.svg", API_OPEN, get_badge },
        {},
};
