/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/backend.h"
#include "core/backend.sql.h"
#include "db/array.h"
#include "shared/log.h"

/* What was committed is published here at once, and to the other instances a little later, together with what came meanwhile:
 * a NOTIFY makes all commits that contain one wait for each other, in the whole cluster, so the transactions of ingestion
 * contain none. What only viewers need is not sent while no other instance has any: see docs/adr/0052. */

#define GAP_USEC    (50 * USEC_PER_MSEC)
#define RETRY_USEC  USEC_PER_SEC
#define WAITING_MAX 20000 /* changes; with more, viewers read everything again */

static void arm(Backend *b, uint64_t usec)
{
        b->outgoing.armed = sd_event_source_set_time_relative(b->outgoing.timer, usec) >= 0 &&
                            sd_event_source_set_enabled(b->outgoing.timer, SD_EVENT_ONESHOT) >= 0;
}

static bool is_for_viewers(ChangeKind kind)
{
        return kind == CHANGE_SERVER || kind == CHANGE_SERVICE || kind == CHANGE_SERVICE_REMOVED;
}

static void lose(Backend *b, ChangeSet *set)
{
        const Change missed = { .kind = CHANGE_MISSED, .user = "-", .server = "-" };

        change_set_clear(set);
        (void) change_set_add(set, &missed);
}

static bool is_empty(const Backend *b)
{
        return b->outgoing.viewed.changes.n == 0 && b->outgoing.always.changes.n == 0;
}

static void sent(PGresult *res, int error, void *userdata)
{
        Backend *b = userdata;

        b->outgoing.sending = false;
        if (error == -ECANCELED)
                return;
        /* What it was is gone by now. */
        if (error < 0)
                lose(b, &b->outgoing.always);
        if (!is_empty(b))
                arm(b, error < 0 ? RETRY_USEC : GAP_USEC);
}

static int add_payloads(const Backend *b, const ChangeSet *set, DbArray *a)
{
        char **payloads = NULL;
        size_t n = 0;
        int r;

        r = changes_encode(&set->changes, b->instance, &payloads, &n);
        for (size_t i = 0; i < n && r >= 0; i++)
                db_array_text(a, payloads[i]);
        payloads_free(payloads, n);
        return r;
}

static int send_all(Backend *b)
{
        _cleanup_(db_array_free) DbArray always = {}, viewed = {};
        const char *a, *v;
        int r;

        r = add_payloads(b, &b->outgoing.always, &always);
        if (r >= 0)
                r = add_payloads(b, &b->outgoing.viewed, &viewed);
        if (r < 0)
                return r;
        a = db_array_done(&always);
        v = db_array_done(&viewed);
        if (!a || !v)
                return -ENOMEM;
        return backend_query(
                b, SQL(publish_changes, .channel = CHANGES_CHANNEL, .instance = b->instance, .always = a, .viewed = v),
                sent, b);
}

static void flush(Backend *b)
{
        int r;

        if (b->outgoing.sending || is_empty(b))
                return;
        r = send_all(b);
        if (r >= 0) {
                b->outgoing.sending = true;
                change_set_clear(&b->outgoing.always);
                change_set_clear(&b->outgoing.viewed);
        } else
                arm(b, RETRY_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Backend *b = userdata;

        b->outgoing.armed = false;
        flush(b);
        return 0;
}

static void enqueue(Backend *b, const Change *change)
{
        ChangeSet *set = is_for_viewers(change->kind) ? &b->outgoing.viewed : &b->outgoing.always;

        if (set->changes.n >= WAITING_MAX || change_set_add(set, change) < 0)
                lose(b, set);
}

void backend_publish(Backend *b, const Changes *changes)
{
        b->events->changed(b, changes);
        for (size_t i = 0; i < changes->n; i++)
                enqueue(b, &changes->items[i]);
        if (!b->outgoing.armed && !b->outgoing.sending && !is_empty(b))
                arm(b, GAP_USEC);
}

void backend_publish_one(Backend *b, ChangeKind kind, const char *user, const char *server, const char *arg)
{
        _cleanup_(changes_clear) Changes changes = {};

        if (changes_add(&changes, kind, user, server, arg) >= 0)
                backend_publish(b, &changes);
}

bool backend_has_published(const Backend *b)
{
        /* Without a database, the others will notice that this instance is gone. */
        return !b->outgoing.sending && (is_empty(b) || !db_is_ready(b->db));
}

void backend_publish_now(Backend *b)
{
        flush(b);
}

int backend_publish_start(Backend *b)
{
        int r;

        r = sd_event_add_time(b->event, &b->outgoing.timer, CLOCK_MONOTONIC, 0, 1, on_timer, b);
        return r < 0 ? r : sd_event_source_set_enabled(b->outgoing.timer, SD_EVENT_OFF);
}

void backend_publish_stop(Backend *b)
{
        b->outgoing.timer = sd_event_source_disable_unref(b->outgoing.timer);
        change_set_clear(&b->outgoing.always);
        change_set_clear(&b->outgoing.viewed);
}
