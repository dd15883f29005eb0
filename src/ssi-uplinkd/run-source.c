/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "run-source.h"
#include "shared/bus-owner.h"
#include "shared/bus-util.h"
#include "shared/log.h"
#include "shared/time-util.h"

/* FollowRuns, then ReadRuns again and again: ssid answers each as soon as there is something. At most one call is under way. */

#define RETRY_USEC USEC_PER_SEC

struct RunSource {
        sd_bus *bus;
        const RunSourceOps *ops;
        void *userdata;

        BusOwner *agent;
        bool agent_is_there;
        bool started, following, paused, live_told, complained;
        unsigned generation; /* changes whenever a callback has stopped or restarted us */
        uint32_t id;
        char *cursor; /* of the last run, or from where to begin */
        uint64_t since;
        sd_bus_slot *call;
        sd_event_source *retry;
};

static int follow(RunSource *s);

static void fail(RunSource *s, int error)
{
        run_source_stop(s);
        s->ops->failed(error, s->userdata);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        RunSource *s = userdata;
        int r;

        s->retry = sd_event_source_disable_unref(s->retry);
        r = follow(s);
        if (r < 0)
                fail(s, r);
        return 0;
}

/* ssid has not answered, or forgotten us: it is restarted, or busy. */
static int start_over(RunSource *s, const sd_bus_error *e)
{
        s->following = false;
        if (!s->complained)
                log_info("Waiting for ssid, to read the results of services: %s", strempty(e->message));
        s->complained = true;
        if (!s->agent_is_there || s->retry)
                return 0;
        return sd_event_add_time_relative(sd_bus_get_event(s->bus), &s->retry, CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry,
                                          s);
}

/* What will not change by asking again. */
static int final_error(const sd_bus_error *e)
{
        if (sd_bus_error_has_name(e, AGENT_ERROR_INVALID_OPTION))
                return -EINVAL;
        if (sd_bus_error_has_name(e, AGENT_ERROR_READ_FAILED))
                return -EIO;
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_ACCESS_DENIED))
                return -EACCES;
        return 0;
}

/* ---- Answers ---- */

/* Returns 1 with a run, whose strings belong to the message; 0 after the last one. */
static int read_run(sd_bus_message *m, RunEvent *ret)
{
        const char *slug, *cursor, *status, *message, *error, *detail;
        int r, stopped, correction;
        const void *invocation;
        RunEvent e = RUN_EVENT_INIT;
        size_t n;

        r = sd_bus_message_enter_container(m, 'r', "ssayssssttttbb");
        if (r <= 0)
                return r;
        r = sd_bus_message_read(m, "ss", &slug, &cursor);
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'y', &invocation, &n);
        if (r >= 0)
                r = sd_bus_message_read(m, "ssssttttbb", &status, &message, &error, &detail, &e.timestamp, &e.started,
                                        &e.ended, &e.duration, &stopped, &correction);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        if (n != sizeof(e.invocation_id))
                return -EBADMSG;
        memcpy(&e.invocation_id, invocation, n);
        e.slug = (char *) slug;
        e.cursor = (char *) cursor;
        e.status = status_from_string(status);
        e.error = run_error_kind_from_string(error);
        if (e.error == RUN_ERROR_NONE)
                e.message = (char *) message;
        else
                e.detail = (char *) detail;
        if ((e.error == RUN_ERROR_NONE) != (e.status != _STATUS_INVALID))
                return -EBADMSG;
        e.stopped = stopped;
        e.correction = correction;
        *ret = e;
        return 1;
}

/* Calls the operations; returns 0 if one of them has stopped us, otherwise 1. */
static int hand_over_runs(RunSource *s, sd_bus_message *m)
{
        unsigned generation = s->generation;
        RunEvent e;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ssayssssttttbb)");
        if (r < 0)
                return r;
        while ((r = read_run(m, &e)) > 0) {
                r = free_and_strdup(&s->cursor, e.cursor);
                if (r >= 0)
                        r = s->ops->event(&e, s->userdata);
                if (r < 0)
                        return r;
                if (s->generation != generation)
                        return 0;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 1;
}

typedef struct Notes {
        const char *cursor;
        uint64_t from, to;
        int live;
} Notes;

static int read_notes(sd_bus_message *m, Notes *n)
{
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0 && streq(name, "gap"))
                        r = sd_bus_message_read(m, "v", "(stt)", &n->cursor, &n->from, &n->to);
                else if (r >= 0 && streq(name, "live"))
                        r = sd_bus_message_read(m, "v", "b", &n->live);
                else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* The notes come last in the message, but a gap lies before the runs. */
static int hand_over(RunSource *s, sd_bus_message *m)
{
        unsigned generation = s->generation;
        Notes notes = {};
        int r;

        r = sd_bus_message_skip(m, "a(ssayssssttttbb)");
        if (r >= 0)
                r = read_notes(m, &notes);
        if (r >= 0)
                r = sd_bus_message_rewind(m, true);
        if (r < 0)
                return r;
        if (notes.cursor)
                s->ops->gap(notes.cursor, notes.from, notes.to, s->userdata);
        if (s->generation != generation)
                return 0;
        r = hand_over_runs(s, m);
        if (r <= 0 || !notes.live || s->live_told)
                return r;
        s->live_told = true;
        s->ops->caught_up(s->userdata);
        return s->generation == generation;
}

/* ---- Calls ---- */

static int call(RunSource *s, const char *member, sd_bus_message_handler_t done, uint64_t timeout,
                int (*append)(RunSource *s, sd_bus_message *m))
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(s->bus, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, member);
        if (r < 0)
                return r;
        /* Who stops ssid means it. */
        r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = append(s, m);
        return r < 0 ? r : sd_bus_call_async(s->bus, &s->call, m, done, s, timeout);
}

static int append_id(RunSource *s, sd_bus_message *m)
{
        return sd_bus_message_append(m, "u", s->id);
}

static int on_read(sd_bus_message *m, void *userdata, sd_bus_error *error);

static int read_more(RunSource *s)
{
        if (!s->following || s->paused || s->call)
                return 0;
        return call(s, "ReadRuns", on_read, UINT64_MAX, append_id);
}

static int on_read(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        RunSource *s = userdata;
        int r;

        s->call = sd_bus_slot_unref(s->call);
        if (e) {
                r = final_error(e);
                if (r == 0)
                        r = start_over(s, e);
        } else {
                r = hand_over(s, m);
                if (r > 0)
                        r = read_more(s);
        }
        if (r < 0)
                fail(s, r);
        return 0;
}

/* What the backend has kept is no cursor of this journal. What lies before now cannot be told from what it has. */
static int begin_anew(RunSource *s)
{
        _cleanup_free_ char *cursor = TAKE_PTR(s->cursor);
        unsigned generation = s->generation;

        log_warning("The backend names a place that this journal does not have; going on from now.");
        s->since = USEC_INFINITY;
        s->ops->gap(cursor, 0, now_usec(CLOCK_REALTIME), s->userdata);
        return s->generation == generation ? follow(s) : 0;
}

static int on_followed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        RunSource *s = userdata;
        int r;

        s->call = sd_bus_slot_unref(s->call);
        if (e && s->cursor && sd_bus_error_has_name(e, AGENT_ERROR_INVALID_OPTION))
                r = begin_anew(s);
        else if (e) {
                r = final_error(e);
                if (r == 0)
                        r = start_over(s, e);
        } else {
                r = sd_bus_message_read(m, "u", &s->id);
                s->following = r >= 0;
                s->complained = false;
                if (r >= 0)
                        r = read_more(s);
        }
        if (r < 0)
                fail(s, r);
        return 0;
}

static int append_place(RunSource *s, sd_bus_message *m)
{
        return s->cursor ? sd_bus_message_append(m, "a{sv}", 1, "after", "s", s->cursor) :
                           sd_bus_message_append(m, "a{sv}", 1, "since", "t", s->since);
}

static int follow(RunSource *s)
{
        if (!s->started || s->following || s->call || !s->agent_is_there)
                return 0;
        return call(s, "FollowRuns", on_followed, 0, append_place);
}

static int unfollow(RunSource *s)
{
        return sd_bus_call_method_async(s->bus, NULL, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE,
                                        "UnfollowRuns", NULL, NULL, "u", s->id);
}

static void on_agent(const char *owner, void *userdata)
{
        RunSource *s = userdata;
        int r;

        s->agent_is_there = owner;
        s->following = false;
        s->call = sd_bus_slot_unref(s->call);
        s->retry = sd_event_source_disable_unref(s->retry);
        r = follow(s);
        if (r < 0)
                fail(s, r);
}

/* ---- The object ---- */

int run_source_start(RunSource *s, const char *after_cursor, uint64_t since)
{
        int r;

        run_source_stop(s);
        r = free_and_strdup(&s->cursor, after_cursor);
        if (r < 0)
                return r;
        s->since = since;
        s->started = true;
        s->live_told = false;
        return follow(s);
}

void run_source_stop(RunSource *s)
{
        s->generation++;
        s->call = sd_bus_slot_unref(s->call);
        s->retry = sd_event_source_disable_unref(s->retry);
        if (s->following)
                (void) unfollow(s);
        s->started = s->following = false;
}

int run_source_pause(RunSource *s, bool pause)
{
        s->paused = pause;
        return read_more(s);
}

int run_source_new(sd_bus *bus, const RunSourceOps *ops, void *userdata, RunSource **ret)
{
        _cleanup_(run_source_freep) RunSource *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->bus = sd_bus_ref(bus);
        s->ops = ops;
        s->userdata = userdata;
        r = bus_owner_new(bus, AGENT_BUS_NAME, on_agent, s, &s->agent);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

RunSource *run_source_free(RunSource *s)
{
        if (!s)
                return NULL;
        run_source_stop(s);
        bus_owner_free(s->agent);
        free(s->cursor);
        sd_bus_unref(s->bus);
        free(s);
        return NULL;
}
