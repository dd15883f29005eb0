/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/admin-audit.sql.h"
#include "api/api.h"
#include "api/field.h"
#include "api/page.h"
#include "http/parts.h"
#include "model/administrator.h"
#include "shared/log.h"

/* The audit log of all accounts, for administrators (docs/adr/0060): by pages, and as a file, which is read from the database as fast as
 * the client takes it. */

#define EVENT_BYTES 64
#define EXPORT_ROWS "500" /* read at once */

/* All borrowed from the request. */
typedef struct Filter {
        const char *account, *event, *outcome, *from, *to;
} Filter;

static bool parse_filter(ApiCall *c, Filter *ret)
{
        static const char *const outcomes[] = { "done", "refused", "throttled", "failed", NULL };
        ApiWords word;

        *ret = (Filter){};
        if (!api_query_line(c, "account", ACCOUNT_SEARCH_MAX, &ret->account) ||
            !api_query_line(c, "event", EVENT_BYTES, &ret->event) || !api_query_words(c, "outcome", outcomes, &word) ||
            !api_query_time(c, "from", &ret->from) || !api_query_time(c, "to", &ret->to))
                return false;
        ret->outcome = http_request_query(c->req, "outcome");
        if (ret->outcome && strchr(ret->outcome, ',')) {
                api_invalid(c, "outcome takes one value.");
                return false;
        }
        if (isempty(ret->account))
                ret->account = NULL;
        if (isempty(ret->event))
                ret->event = NULL;
        return true;
}

static void list_audit(ApiCall *c)
{
        ApiPage page;
        Filter f;

        if (!api_page_parse(c, "n", &page) || !parse_filter(c, &f))
                return;

        api_query(c,
                  SQL(list_all_audit, .account = f.account, .event = f.event, .outcome = f.outcome, .since = f.from,
                      .until = f.to, .limit = page.limit, .before = page.keys[0]),
                  api_page_done);
}

/* ---- The file ---- */

typedef struct Export {
        Backend *backend;
        SseStream *stream; /* NULL: the client has gone */
        char *account, *event, *outcome, *from, *to;
        char before[24];
        bool csv, begun, reading, last;
} Export;

static Export *export_free(Export *e)
{
        if (!e)
                return NULL;
        free(e->account);
        free(e->event);
        free(e->outcome);
        free(e->from);
        free(e->to);
        free(e);
        return NULL;
}
DEFINE_CLEANUP(Export *, export_free);

static int put_rows(Export *e, FILE *f, PGresult *res)
{
        int n = PQntuples(res);

        if (!e->begun)
                fputs(e->csv ?
                              "id,at,last_at,count,event,outcome,account,email,actor,address,method,credential,object,name\r\n" :
                              "[",
                      f);
        for (int i = 0; i < n; i++)
                fprintf(f, "%s%s%s",
                        e->csv            ? "" :
                        e->begun || i > 0 ? ",\n" :
                                            "\n",
                        PQgetvalue(res, i, 1), e->csv ? "\r\n" : "");
        e->begun = true;
        e->last = n < atoi(EXPORT_ROWS);
        if (e->last && !e->csv)
                fputs("\n]\n", f);
        if (n > 0)
                snprintf(e->before, sizeof(e->before), "%s", PQgetvalue(res, n - 1, 0));
        return ferror(f) ? -ENOMEM : 0;
}

/* Negative: the download is broken, and the client is to see that it is. */
static int send_rows(Export *e, PGresult *res)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f;
        int r;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        r = put_rows(e, f, res);
        if (fclose(f) != 0)
                r = -ENOMEM;
        if (r >= 0)
                r = http_parts_write(e->stream, text, size);
        if (r >= 0 && e->last)
                http_parts_end(e->stream);
        return r;
}

static void on_rows(PGresult *res, int error, void *userdata)
{
        Export *e = userdata;

        e->reading = false;
        if (!e->stream) {
                export_free(e);
                return;
        }
        if (error < 0)
                log_debug("An export of the audit log ends early: %s", db_result_message(res));
        if (error < 0 || send_rows(e, res) < 0)
                sse_close(e->stream);
}

static void on_drained(SseStream *stream, void *userdata)
{
        Export *e = userdata;

        if (!e->begun || e->last || e->reading)
                return;
        e->reading = true;
        if (backend_query(e->backend,
                          SQL(export_audit, .csv = sql_bool(e->csv), .account = e->account, .event = e->event,
                              .outcome = e->outcome, .since = e->from, .until = e->to, .limit = EXPORT_ROWS,
                              .before = e->before),
                          on_rows, e) < 0) {
                e->reading = false;
                sse_close(stream);
        }
}

static void on_closed(SseStream *stream, void *userdata)
{
        Export *e = userdata;

        e->stream = NULL;
        if (!e->reading)
                export_free(e);
}

static int copy(const char *s, char **ret)
{
        *ret = s ? strdup(s) : NULL;
        return s && !*ret ? -ENOMEM : 0;
}

static bool is_csv(ApiCall *c)
{
        return streq(http_request_query(c->req, "format") ?: "csv", "csv");
}

/* The rest is read without the request, which ends where the download begins. */
static int export_new(ApiCall *c, Export **ret)
{
        _cleanup_(export_freep) Export *e = calloc(1, sizeof(*e));
        Filter f;

        if (!e || !parse_filter(c, &f) || copy(f.account, &e->account) < 0 || copy(f.event, &e->event) < 0 ||
            copy(f.outcome, &e->outcome) < 0 || copy(f.from, &e->from) < 0 || copy(f.to, &e->to) < 0)
                return -ENOMEM;
        e->backend = c->backend;
        e->csv = is_csv(c);
        *ret = TAKE_PTR(e);
        return 0;
}

static void first_read(ApiCall *c, PGresult *res, int error)
{
        Export *e;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (export_new(c, &e) < 0) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        if (e->csv)
                (void) http_respond_add_header(c->req, "Content-Disposition", "attachment; filename=\"audit.csv\"");
        e->stream = http_respond_parts(c->req, e->csv ? "text/csv" : "application/json", on_closed, on_drained, e);
        if (!e->stream)
                export_free(e);
        else if (send_rows(e, res) < 0)
                sse_close(e->stream);
}

static void export_audit(ApiCall *c)
{
        static const char *const formats[] = { "csv", "json", NULL };
        const char *format = http_request_query(c->req, "format");
        ApiWords word;
        Filter f;

        if (!api_query_words(c, "format", formats, &word) || !parse_filter(c, &f))
                return;
        if (format && strchr(format, ',')) {
                api_invalid(c, "format takes one value.");
                return;
        }

        api_query(c,
                  SQL(export_audit, .csv = sql_bool(is_csv(c)), .account = f.account, .event = f.event,
                      .outcome = f.outcome, .since = f.from, .until = f.to, .limit = EXPORT_ROWS),
                  first_read);
}

const ApiRoute api_admin_audit_routes[] = {
        { "GET", "/api/v1/admin/audit", API_ADMIN, list_audit },
        { "GET", "/api/v1/admin/audit/export", API_ADMIN, export_audit },
        {},
};
