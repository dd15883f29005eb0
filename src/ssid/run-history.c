/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>
#include <utlist.h>

#include "run-history.h"
#include "shared/bus-util.h"
#include "shared/journal/history.h"
#include "shared/log.h"
#include "shared/time-util.h"

/* A deferred source that turns itself on again would come before everything else of its priority, each time; a timer does not. */
#define SLICE_USEC (3 * USEC_PER_MSEC)
#define PAUSE_USEC (1 * USEC_PER_MSEC)
/* How many times as long as its slice a user other than root rests, as for other calls (docs/adr/0051). */
#define REST 3U

struct RunHistory {
        Agent *agent;
        sd_bus_message *request;
        uid_t uid;
        char *slug;
        uint32_t limit;
        JournalHistory *journal; /* NULL before its first turn, as it holds the journal's files open */
        HistoryRuns *runs;
        RunHistory *prev, *next;
};

static RunHistory *run_history_free(RunHistory *h)
{
        if (!h)
                return NULL;
        history_runs_free(h->runs);
        journal_history_free(h->journal);
        sd_bus_message_unref(h->request);
        free(h->slug);
        free(h);
        return NULL;
}
DEFINE_CLEANUP(RunHistory *, run_history_free);

static void drop(RunHistory *h)
{
        DL_DELETE(h->agent->run_histories, h);
        run_history_free(h);
}

/* ---- The answer ---- */

static int append_run(sd_bus_message *reply, const RunEvent *e)
{
        char id[SD_ID128_STRING_MAX] = "";

        if (!sd_id128_is_null(e->invocation_id))
                sd_id128_to_string(e->invocation_id, id);
        return sd_bus_message_append(reply, "(tssssts)", e->timestamp, strempty(status_to_string(e->status)),
                                     strempty(e->message),
                                     e->error == RUN_ERROR_NONE ? "" : run_error_kind_to_string(e->error),
                                     strempty(e->detail), e->duration, id);
}

static int send_answer(sd_bus_message *request, const RunEvent *events, size_t n)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(request, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(tssssts)");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_run(reply, events + i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

static void refuse(RunHistory *h, int error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int r;

        r = bus_read_failed("the journal", error, &e);
        r = sd_bus_error_is_set(&e) ? sd_bus_reply_method_error(h->request, &e) :
                                      sd_bus_reply_method_errno(h->request, r, NULL);
        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
}

/* ---- Turns ---- */

static int open_journal(RunHistory *h)
{
        int r;

        if (h->runs)
                return 0;
        r = journal_history_new(&h->journal);
        return r < 0 ? r : history_runs_new(h->journal, h->slug, h->limit, &h->runs);
}

/* 1 when it is answered. */
static int read_slice(RunHistory *h)
{
        RunEvent *events;
        size_t n;
        int r;

        r = open_journal(h);
        if (r >= 0)
                r = history_runs_read(h->runs, SLICE_USEC, &events, &n);
        if (r <= 0)
                return r;
        r = send_answer(h->request, events, n);
        run_events_free(events, n);
        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
        return 1;
}

/* The other users come first, next time. */
static void end_turn(Agent *a, uid_t uid)
{
        RunHistory *last = a->run_histories ? a->run_histories->prev : NULL, *h, *tmp;

        DL_FOREACH_SAFE(a->run_histories, h, tmp) {
                bool end = h == last;

                if (h->uid == uid) {
                        DL_DELETE(a->run_histories, h);
                        DL_APPEND(a->run_histories, h);
                }
                if (end)
                        break;
        }
}

static int queue_turn(Agent *a, uint64_t usec);

static int on_turn(sd_event_source *source, uint64_t now, void *userdata)
{
        Agent *a = userdata;
        uint64_t begun = now_usec(CLOCK_MONOTONIC), took;
        RunHistory *h = a->run_histories;
        uid_t uid;
        int r;

        if (!h)
                return 0;
        uid = h->uid;
        r = read_slice(h);
        took = now_usec(CLOCK_MONOTONIC) - begun;
        if (r < 0)
                refuse(h, r);
        if (r != 0)
                drop(h);
        end_turn(a, uid);
        return a->run_histories ? queue_turn(a, uid == 0 ? PAUSE_USEC : MAX(PAUSE_USEC, REST * took)) : 0;
}

static int queue_turn(Agent *a, uint64_t usec)
{
        int r;

        if (!a->run_history_turn)
                return sd_event_add_time_relative(a->event, &a->run_history_turn, CLOCK_MONOTONIC, usec, 1, on_turn, a);
        r = sd_event_source_set_time_relative(a->run_history_turn, usec);
        return r < 0 ? r : sd_event_source_set_enabled(a->run_history_turn, SD_EVENT_ONESHOT);
}

int run_history_start(Agent *a, sd_bus_message *request, const Service *s, uint32_t limit, sd_bus_error *error)
{
        _cleanup_(run_history_freep) RunHistory *h = NULL;
        uid_t uid;
        int r;

        r = polkit_sender_uid(a->polkit, request, &uid);
        if (r < 0)
                return r;
        if (!list_has_room(a->run_histories, uid, RUN_HISTORIES_MAX, RUN_HISTORIES_PER_USER_MAX))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many histories are being read; try again in a moment.");
        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->agent = a;
        h->uid = uid;
        h->limit = limit;
        h->request = sd_bus_message_ref(request);
        h->slug = strdup(s->slug);
        if (!h->slug)
                return -ENOMEM;
        r = a->run_histories ? 0 : queue_turn(a, 0);
        if (r < 0)
                return r;
        DL_APPEND(a->run_histories, h);
        TAKE_PTR(h);
        return 0;
}

void run_histories_free(Agent *a)
{
        while (a->run_histories)
                drop(a->run_histories);
        a->run_history_turn = sd_event_source_disable_unref(a->run_history_turn);
}
