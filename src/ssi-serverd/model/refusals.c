/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "auth/token.h"
#include "model/audit.h"
#include "model/refusals.sql.h"
#include "shared/json-util.h"
#include "shared/log.h"
#include "shared/network.h"

/* Refusals of a minute, counted by what, who, whose account and from where. Memory, rows and lines are bounded: each class has
 * its places for a minute and its rows for a day, and what finds none is counted without account and network. So a flood
 * of made-up log-ins does not hide the guesses at an account. */

enum {
        CLASS_ACCOUNT, /* an account is concerned */
        CLASS_NETWORK,
        CLASS_KIND, /* what is left: only the constants */
        CLASSES,
};

#define PLACES       64 /* of a class */
#define NETWORK_MOST 16 /* places of one network in a class */
#define ROWS_A_DAY   5000

#define TICK_USEC     USEC_PER_SEC
#define SEVERAL       "several"
#define MINUTE        60
#define MINUTES_A_DAY 1440

typedef struct Entry {
        const char *event, *outcome, *method; /* constants */
        char network[NETWORK_MAX], actor[ID_MAX], account[ID_MAX];
        uint64_t minute;
        uint64_t pending; /* not written yet */
        bool written;
} Entry;

typedef struct Class {
        Entry entries[PLACES];
        size_t n;
        uint64_t day;
        unsigned rows;
} Class;

struct AuditRefusals {
        Backend *backend;
        sd_event_source *timer; /* while there are entries */
        Class classes[CLASSES];
};

static uint64_t minute_now(void)
{
        return (uint64_t) time(NULL) / MINUTE;
}

static int entry_object(const Entry *e, json_object **ret)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "event", e->event) < 0 || json_add_string(o, "outcome", e->outcome) < 0 ||
            json_add_string(o, "method", e->method) < 0 || json_add_string(o, "network", e->network) < 0 ||
            json_add_string(o, "actor", e->actor[0] ? e->actor : NULL) < 0 ||
            json_add_string(o, "account", e->account[0] ? e->account : NULL) < 0 ||
            json_add_int64(o, "count", (int64_t) e->pending) < 0 ||
            json_add_int64(o, "minute", (int64_t) e->minute) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

/* Adds the entries of a class that are due, and forgets those of past minutes. */
static int take_due(Class *c, uint64_t minute, json_object *list)
{
        size_t left = 0;

        for (size_t i = 0; i < c->n; i++) {
                Entry *e = c->entries + i;
                bool past = e->minute < minute;

                if (e->pending > 0 && (past || !e->written)) {
                        json_object *o;

                        if (entry_object(e, &o) < 0)
                                return -ENOMEM;
                        if (json_object_array_add(list, o) < 0) {
                                json_object_put(o);
                                return -ENOMEM;
                        }
                        e->pending = 0;
                        e->written = true;
                }
                if (!past)
                        c->entries[left++] = *e;
        }
        c->n = left;
        return 0;
}

static void on_written(PGresult *res, int error, void *userdata)
{
        if (error == 0)
                audit_journal(res);
        else if (error != -ECANCELED)
                log_warning("Refusals are missing in the audit log: %s", db_result_message(res));
}

static void flush(AuditRefusals *r, uint64_t minute)
{
        _cleanup_json_ json_object *list = json_object_new_array();

        for (size_t i = 0; list && i < CLASSES; i++)
                if (take_due(r->classes + i, minute, list) < 0)
                        return;
        if (list && json_object_array_length(list) > 0)
                (void) backend_query(
                        r->backend,
                        SQL(audit_refused, .refusals = json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN)),
                        on_written, NULL);
}

void audit_refusals_flush(AuditRefusals *r)
{
        flush(r, UINT64_MAX);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        AuditRefusals *r = userdata;
        size_t n = 0;

        flush(r, minute_now());
        for (size_t i = 0; i < CLASSES; i++)
                n += r->classes[i].n;
        if (n == 0)
                return 0;
        (void) sd_event_source_set_time_relative(source, TICK_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int audit_refusals_new(Backend *b, AuditRefusals **ret)
{
        AuditRefusals *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return -ENOMEM;
        r->backend = b;
        k = sd_event_add_time_relative(b->event, &r->timer, CLOCK_MONOTONIC, TICK_USEC, 0, on_tick, r);
        if (k >= 0)
                k = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (k < 0) {
                audit_refusals_free(r);
                return k;
        }
        *ret = r;
        return 0;
}

AuditRefusals *audit_refusals_free(AuditRefusals *r)
{
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->timer);
        free(r);
        return NULL;
}

/* NULL when the class has no place or no row left for it. */
static Entry *find(Class *c, const Entry *wanted, bool limited)
{
        size_t of_network = 0;

        for (size_t i = 0; i < c->n; i++) {
                Entry *e = c->entries + i;

                if (streq(e->event, wanted->event) && streq(e->outcome, wanted->outcome) &&
                    streq_ptr(e->method, wanted->method) && streq(e->network, wanted->network) &&
                    streq(e->actor, wanted->actor) && streq(e->account, wanted->account) && e->minute == wanted->minute)
                        return e;
                of_network += streq(e->network, wanted->network);
        }
        if (wanted->minute / MINUTES_A_DAY != c->day) {
                c->day = wanted->minute / MINUTES_A_DAY;
                c->rows = 0;
        }
        if (c->n == PLACES || (limited && (of_network >= NETWORK_MOST || c->rows >= ROWS_A_DAY)))
                return NULL;
        c->rows++;
        c->entries[c->n] = *wanted;
        return c->entries + c->n++;
}

void audit_refused(Backend *b, const AuditRefusal *what)
{
        Entry wanted = { .event = what->event,
                         .outcome = what->outcome,
                         .method = what->method,
                         .minute = minute_now() },
              *e;
        AuditRefusals *r = b->audit_refusals;

        snprintf(wanted.network, sizeof(wanted.network), "%s", isempty(what->network) ? "local" : what->network);
        snprintf(wanted.actor, sizeof(wanted.actor), "%s", strempty(what->actor));
        snprintf(wanted.account, sizeof(wanted.account), "%s", strempty(what->account));
        e = find(r->classes + (wanted.account[0] ? CLASS_ACCOUNT : CLASS_NETWORK), &wanted, true);
        if (!e) {
                snprintf(wanted.network, sizeof(wanted.network), SEVERAL);
                wanted.actor[0] = wanted.account[0] = '\0';
                e = find(r->classes + CLASS_KIND, &wanted, false);
        }
        if (!e)
                return;
        e->pending++;
        if (sd_event_source_get_enabled(r->timer, NULL) == 0) {
                (void) sd_event_source_set_time_relative(r->timer, TICK_USEC);
                (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
        }
}
