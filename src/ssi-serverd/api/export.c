/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/export.h"
#include "api/export.sql.h"
#include "http/parts.h"
#include "notify/channel.h"
#include "shared/log.h"
#include "shared/time-util.h"

/* All that is kept about an account, as one JSON object (docs/protocol.md), without secrets and without the history, which has routes of
 * its own.
 *
 * It is written as the client reads it: when the last part has gone, the next page of rows is read. So an export costs one page of memory,
 * however much there is. If it cannot go on it breaks off; what is complete ends with "complete". */

static const struct {
        const char *name, *sql;
} sections[] = {
        { "sessions", SQL_export_sessions },       { "api_tokens", SQL_export_tokens },
        { "invitations", SQL_export_invitations }, { "servers", SQL_export_servers },
        { "services", SQL_export_services },       { "acknowledgements", SQL_export_acknowledgements },
        { "silences", SQL_export_silences },       { "channels", SQL_export_channels },
        { "browsers", SQL_export_browsers },       { "audit", SQL_export_audit },
};

/* The columns of a page. The last two are those of channels only. */
enum { ITEM, KEY, CONFIG, TYPE, CHANNEL_COLUMNS };

typedef struct Export {
        Backend *backend;
        SseStream *stream; /* NULL once it has ended */
        sd_event_source *timer;
        char *user;
        char *after;    /* the key of the last row; NULL at the begin of a section */
        size_t section; /* the one being written */
        bool reading;   /* a page */
        bool any;       /* the section has a row already */
} Export;

static Export *export_free(Export *e)
{
        if (!e || e->stream || e->reading)
                return NULL;
        sd_event_source_disable_unref(e->timer);
        free(e->user);
        free(e->after);
        free(e);
        return NULL;
}

static void on_closed(SseStream *stream, void *userdata)
{
        Export *e = userdata;

        e->stream = NULL;
        export_free(e);
}

static void break_off(Export *e, const char *why)
{
        log_warning("The export of %s breaks off: %s", e->user, why);
        if (e->stream)
                sse_close(e->stream);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Export *e = userdata;

        if (e->stream)
                break_off(e, "it took too long");
        return 0;
}

static int print_channel(FILE *f, PGresult *res, int row)
{
        _cleanup_json_ json_object *o = NULL, *config = NULL, *masked = NULL;

        if (json_parse(PQgetvalue(res, row, ITEM), (size_t) PQgetlength(res, row, ITEM), &o) < 0 ||
            json_parse(PQgetvalue(res, row, CONFIG), (size_t) PQgetlength(res, row, CONFIG), &config) < 0 ||
            channel_config_mask(PQgetvalue(res, row, TYPE), config, &masked) < 0 ||
            json_add_take(o, "config", TAKE_PTR(masked)) < 0)
                return -ENOMEM;
        fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), f);
        return 0;
}

static int print_rows(Export *e, FILE *f, PGresult *res)
{
        int r = 0;

        for (int row = 0; row < PQntuples(res) && r >= 0; row++) {
                fputs(e->any ? ",\n" : "\n", f);
                if (PQnfields(res) == CHANNEL_COLUMNS)
                        r = print_channel(f, res, row);
                else
                        fwrite(PQgetvalue(res, row, ITEM), 1, (size_t) PQgetlength(res, row, ITEM), f);
                e->any = true;
        }
        return r;
}

/* Ends the section, and begins the next one or ends all. */
static void print_next(Export *e, FILE *f)
{
        e->section++;
        e->any = false;
        if (e->section < ELEMENTSOF(sections))
                fprintf(f, "],\n\"%s\": [", sections[e->section].name);
        else
                fputs("],\n\"complete\": true}\n", f);
}

static int write_page(Export *e, PGresult *res)
{
        _cleanup_free_ char *text = NULL;
        int n = PQntuples(res), r;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        r = print_rows(e, f, res);
        free(e->after);
        e->after = n == EXPORT_PAGE ? strdup(PQgetvalue(res, n - 1, KEY)) : NULL;
        if (n == EXPORT_PAGE && !e->after)
                r = -ENOMEM;
        if (n < EXPORT_PAGE)
                print_next(e, f);
        if (fclose(f) != 0 || r < 0)
                return -ENOMEM;
        r = http_parts_write(e->stream, text, size);
        if (r >= 0 && e->section == ELEMENTSOF(sections))
                http_parts_end(e->stream);
        return r;
}

static void page_read(PGresult *res, int error, void *userdata)
{
        Export *e = userdata;
        int r;

        e->reading = false;
        if (!e->stream) {
                export_free(e);
                return;
        }
        if (error < 0) {
                break_off(e, db_result_message(res));
                return;
        }
        r = write_page(e, res);
        if (r < 0 && r != -ESHUTDOWN)
                break_off(e, strerror(-r));
}

static void on_drained(SseStream *stream, void *userdata)
{
        Export *e = userdata;
        int r;

        if (e->reading || e->section >= ELEMENTSOF(sections))
                return;

        const char *params[] = { e->user, e->after };

        e->reading = true;
        r = backend_query(e->backend, sections[e->section].sql, ELEMENTSOF(params), params, page_read, e);
        if (r < 0) {
                e->reading = false;
                break_off(e, strerror(-r));
        }
}

static int export_start(ApiCall *c, const char *account, const char *now)
{
        _cleanup_free_ char *head = NULL;
        Export *e;
        int n, r;

        n = asprintf(&head, "{\"format\": 1,\n\"exported_at\": \"%s\",\n\"account\": %s,\n\"%s\": [", now, account,
                     sections[0].name);
        if (n < 0) {
                head = NULL;
                return -ENOMEM;
        }
        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        e->backend = c->backend;
        e->user = strdup(c->user);
        r = e->user ? sd_event_add_time_relative(c->backend->event, &e->timer, CLOCK_MONOTONIC,
                                                 EXPORT_SECONDS * USEC_PER_SEC, USEC_PER_SEC, on_timeout, e) :
                      -ENOMEM;
        if (r >= 0) {
                e->stream = http_respond_parts(c->req, "application/json", on_closed, on_drained, e);
                r = e->stream ? http_parts_write(e->stream, head, (size_t) n) :
                                0; /* otherwise nobody is there any more */
        }
        export_free(e);
        return r;
}

/* The row: the account, the time. */
static void begun(ApiCall *c, PGresult *res, int error)
{
        int r;

        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_busy(c, EXPORT_SECONDS);
        else {
                r = export_start(c, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1));
                if (r < 0 && r != -ESHUTDOWN)
                        api_fail(c, NULL, r);
        }
}

static void export_account(ApiCall *c)
{
        api_query(c, SQL(export_begin, .user = c->user, .actor = api_actor(c)), begun);
}

const ApiRoute api_export_routes[] = {
        { "GET", "/api/v1/account/export", API_RECENT, export_account },
        {},
};
