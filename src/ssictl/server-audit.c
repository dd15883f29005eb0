/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>

#include "bus-json.h"
#include "server-call.h"
#include "server.h"
#include "shared/status-line.h"
#include "shared/time-span.h"
#include "shared/time-util.h"
#include "text.h"

#define LINES_DEFAULT 50U
#define PAGE_MAX      500U

/* As printed with --json; those that an entry lacks are null. */
static const char *const members[] = {
        "id",    "at_usec", "last_at_usec", "count",  "event",      "outcome", "account",
        "email", "actor",   "address",      "method", "credential", "object",  "name",
};

/* "2026-03-01T10:00:00Z", "2026-03-01" (local time), or how long ago: "12h", "1d 6h". */
static int parse_time(const char *option, const char *s, uint64_t *ret)
{
        uint64_t span, now = now_usec(CLOCK_REALTIME);
        struct tm tm = { .tm_isdst = -1 };
        const char *end;

        if (parse_rfc3339(s, ret) >= 0)
                return 0;
        if (parse_time_span(s, &span) >= 0 && span < now) {
                *ret = now - span;
                return 0;
        }
        end = strptime(s, "%Y-%m-%d", &tm);
        if (end && *end == '\0' && mktime(&tm) >= 0) {
                *ret = (uint64_t) mktime(&tm) * USEC_PER_SEC;
                return 0;
        }
        ctl_say_error("--%s takes a time such as 2026-03-01T10:00:00Z, a day such as 2026-03-01, or how long ago, such "
                      "as 30min, 12h or 7d.",
                      option);
        return -CTL_EXIT_USAGE;
}

typedef struct Query {
        uint64_t since, until, before; /* 0: none */
        unsigned limit;
} Query;

static int append_number(sd_bus_message *m, const char *name, uint64_t value)
{
        return value > 0 ? sd_bus_message_append(m, "{sv}", name, "t", value) : 0;
}

static int append_text(sd_bus_message *m, const char *name, const char *value)
{
        return value ? sd_bus_message_append(m, "{sv}", name, "s", value) : 0;
}

static int call(Ctl *c, const Query *q, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = server_new_call(c, "ListAudit", &m);
        if (r < 0)
                return r;
        if (sd_bus_message_open_container(m, 'a', "{sv}") < 0 || append_number(m, "since", q->since) < 0 ||
            append_number(m, "until", q->until) < 0 || append_number(m, "before", q->before) < 0 ||
            append_text(m, "account", c->account) < 0 || append_text(m, "event", c->event) < 0 ||
            sd_bus_message_append(m, "{sv}", "limit", "u", q->limit) < 0 || sd_bus_message_close_container(m) < 0) {
                ctl_say_error("The arguments are not valid UTF-8.");
                return -CTL_EXIT_FAILURE;
        }
        return server_call(c, m, ret);
}

/* Adds the entries of a page; returns the next page's "before", 0 at the end, in ret. */
static int read_page(sd_bus_message *reply, json_object *rows, uint64_t *ret)
{
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0) {
                _cleanup_json_ json_object *found = NULL;
                json_object *o = json_object_new_object();

                if (!o || json_object_array_add(rows, o) < 0)
                        return -ENOMEM;
                r = bus_read_json_dictionary(reply, &found);
                for (size_t i = 0; i < ELEMENTSOF(members) && r >= 0; i++) {
                        json_object *value = NULL;

                        (void) json_object_object_get_ex(found, members[i], &value);
                        r = json_object_object_add(o, members[i], json_object_get(value)) < 0 ? -ENOMEM : 0;
                }
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        return r < 0 ? r : sd_bus_message_read(reply, "t", ret);
}

static int read_all(Ctl *c, Query *q, unsigned n, json_object *rows)
{
        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                uint64_t before = q->before;
                int r;

                q->limit = MIN(PAGE_MAX, n - (unsigned) json_object_array_length(rows));
                r = call(c, q, &reply);
                if (r < 0)
                        return r;
                r = read_page(reply, rows, &q->before);
                if (r >= 0 && before > 0 && q->before >= before)
                        r = -EBADMSG;
                if (r < 0) {
                        ctl_say_error("Cannot read the backend's answer: %s", strerror(-r));
                        return -CTL_EXIT_FAILURE;
                }
        } while (q->before > 0 && json_object_array_length(rows) < n);
        return 0;
}

static void put(const char *before, const char *value, const char *after)
{
        if (value) {
                fputs(before, stdout);
                text_put(value, 0);
                fputs(after, stdout);
        }
}

/* An address, or the network that a refusal is counted by: an IPv4 address by itself. */
static void put_address(const char *address)
{
        _cleanup_free_ char *alone = address && endswith(address, "/32") ? strndup(address, strlen(address) - 3) : NULL;

        put(" from ", alone ?: address, "");
}

/* "Sun 2026-03-01 10:00:00 UTC  login  a@example.org from 192.0.2.1, password: ses-…" */
static void print_entry(Ctl *c, json_object *o)
{
        const char *outcome = json_get_string(o, "outcome"), *who = json_get_string(o, "email"),
                   *account = json_get_string(o, "account"), *actor = json_get_string(o, "actor");
        int64_t usec = 0, count = 1;
        char when[64];

        (void) json_get_int64(o, "at_usec", &usec);
        (void) json_get_int64(o, "count", &count);
        printf("%s  %s", ctl_local_time((uint64_t) usec, when), streq_ptr(outcome, "done") ? "" : ctl_bold(c));
        text_put(strempty(json_get_string(o, "event")), 24);
        if (!streq_ptr(outcome, "done"))
                printf("%s", ctl_color_end(c));
        put(" ", who ?: account, "");
        if (actor && !streq_ptr(actor, account))
                put(" by ", actor, "");
        put_address(json_get_string(o, "address"));
        if (!streq_ptr(json_get_string(o, "method"), json_get_string(o, "address"))) /* "bus" */
                put(", ", json_get_string(o, "method"), "");
        if (!streq_ptr(outcome, "done"))
                put(" (", outcome, ")");
        put(": ", json_get_string(o, "object"), "");
        put(" \"", json_get_string(o, "name"), "\"");
        if (count > 1)
                printf(", %lld times", (long long) count);
        putchar('\n');
}

int server_audit(Ctl *c, int argc, char *argv[])
{
        unsigned n = c->lines != UINT_MAX ? c->lines : c->since ? UINT_MAX : LINES_DEFAULT;
        _cleanup_json_ json_object *rows = json_object_new_array();
        Query q = {};
        int r;

        if (!rows)
                return -CTL_EXIT_FAILURE;
        if (c->since && (r = parse_time("since", c->since, &q.since)) < 0)
                return r;
        if (c->until && (r = parse_time("until", c->until, &q.until)) < 0)
                return r;
        r = n > 0 ? read_all(c, &q, n, rows) : 0;
        if (r < 0)
                return r;
        if (c->json)
                return server_print_table(c, TAKE_PTR(rows), NULL, 0, NULL);
        for (size_t i = 0; i < json_object_array_length(rows); i++)
                print_entry(c, json_object_array_get_idx(rows, i));
        if (json_object_array_length(rows) == 0 && n > 0)
                puts(q.since || q.until || c->account || c->event ? "The audit log holds no such entry." :
                                                                    "The audit log has no entries yet.");
        return CTL_EXIT_OK;
}
