/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "shared/journal/run-tracker-internal.h"

/* Decides which stream belongs to which run. run-tracker.c explains how. */

/* How many ended runs of a service are remembered for late lines. */
#define ENDED_KEPT 8

void run_free(RunTracker *t, Run *run)
{
        hold_end(t, &run->hold);
        slot_cancel(&run->slot);
        run_line_clear(run);
        DL_DELETE(run->service->runs, run);
        free(run);
}

void stream_free(RunTracker *t, Stream *m)
{
        hold_end(t, &m->hold);
        slot_cancel(&m->slot);
        if (m->has_line)
                status_line_done(&m->line);
        DL_DELETE(m->service->unclaimed, m);
        free(m);
}

int run_new(RunTracker *t, TrackedService *s, sd_id128_t invocation_id, Run **ret)
{
        Run *run, *i, *tmp;
        unsigned n = 0;

        run = calloc(1, sizeof(*run));
        if (!run)
                return -ENOMEM;
        run->hold.type = HOLD_RUN;
        run->service = s;
        run->invocation_id = invocation_id;
        DL_APPEND(s->runs, run);
        *ret = run;

        DL_FOREACH(s->runs, i)
                if (i->concluded && !i->hold.active)
                        n++;
        DL_FOREACH_SAFE(s->runs, i, tmp) {
                if (n <= ENDED_KEPT)
                        break;
                if (i->concluded && !i->hold.active) {
                        run_free(t, i);
                        n--;
                }
        }
        return 0;
}

Run *run_find_by_invocation(TrackedService *s, sd_id128_t id)
{
        Run *run, *found = NULL;

        DL_FOREACH(s->runs, run)
                if (sd_id128_equal(run->invocation_id, id))
                        found = run;
        return found;
}

Run *run_find_by_stream(TrackedService *s, sd_id128_t id)
{
        Run *run;

        DL_FOREACH(s->runs, run)
                if (run->has_stream && sd_id128_equal(run->stream_id, id))
                        return run;
        return NULL;
}

Stream *stream_find(TrackedService *s, sd_id128_t id)
{
        Stream *m;

        DL_FOREACH(s->unclaimed, m)
                if (sd_id128_equal(m->id, id))
                        return m;
        return NULL;
}

void run_bind(Run *run, sd_id128_t stream_id)
{
        run->has_stream = true;
        run->stream_id = stream_id;
}

int run_add_line(RunTracker *t, Run *run, StatusLine *line, const RunEntry *e)
{
        int r;

        /* The output of a failed run is not a status, however late it comes. */
        if (run->failed) {
                status_line_done(line);
                return 0;
        }
        run_line_clear(run);
        run->line = *line;
        run->has_line = true;
        if (!run->ended)
                return 0;
        if (!run->concluded)
                return run_conclude(t, run);

        /* Report the correction at the last line that comes within the grace: even thousands of lines give only one
         * result. */
        slot_cancel(&run->slot);
        r = slot_new(t, e, &run->hold, &run->slot);
        if (r < 0)
                return r;
        run->correcting = true;
        hold_begin(t, &run->hold);
        return 0;
}

bool run_claims(const Run *run)
{
        return run->ended && !run->has_stream && run->hold.active;
}

int run_claim(RunTracker *t, Run *run, Stream *m, const RunEntry *e)
{
        StatusLine line = m->line;
        bool has_line = m->has_line;

        run_bind(run, m->id);
        m->has_line = false;
        stream_free(t, m);
        return has_line ? run_add_line(t, run, &line, e) : 0;
}

int run_move_stream(RunTracker *t, Run *from, Run *to, const RunEntry *e)
{
        StatusLine line = from->line;
        bool has_line = from->has_line;

        run_bind(to, from->stream_id);
        to->stream_seq = from->stream_seq;
        from->has_stream = from->has_line = from->early = false;
        return has_line ? run_add_line(t, to, &line, e) : 0;
}

/* Finds the next run whose stream came before its start: the stream may belong to the given run. */
static Run *find_early(Run *run)
{
        for (run = run->next; run; run = run->next)
                if (run->has_stream && run->early && !run->ended)
                        return run;
        return NULL;
}

int service_match(RunTracker *t, TrackedService *s)
{
        Run *run, *early;
        int r;

        DL_FOREACH(s->runs, run) {
                if (!run_claims(run))
                        continue;
                if (run->failed)
                        return 0;
                early = find_early(run);
                if (early && (!s->unclaimed || early->stream_seq < s->unclaimed->slot->seq))
                        r = run_move_stream(t, early, run, NULL);
                else if (s->unclaimed)
                        r = run_claim(t, run, s->unclaimed, NULL);
                else
                        return 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int run_end(RunTracker *t, Run *run, const RunEntry *e, bool failed)
{
        int r;

        if (!run->slot) {
                r = slot_new(t, e, &run->hold, &run->slot);
                if (r < 0)
                        return r;
        }
        hold_end(t, &run->hold);
        run->ended = true;
        run->failed = failed;
        run->ended_monotonic = t->now;

        if (failed && streq_ptr(e->result, "signal") && streq(run->exit_code, "killed") &&
            run->exit_status == SIGTERM) {
                run->undecided = true;
                hold_begin(t, &run->hold);
        } else if (failed) {
                Slot *slot = TAKE_PTR(run->slot);

                run->concluded = true;
                r = fill_failure(t, slot, run, e->result);
                if (r < 0)
                        return r;
                if (!run->has_stream)
                        hold_begin(t, &run->hold);
        } else if (run->has_line) {
                r = run_conclude(t, run);
                if (r < 0)
                        return r;
        } else
                hold_begin(t, &run->hold);
        return service_match(t, run->service);
}

/* Another run showed itself before the ends of these. The manager's entries are in order, so if the manager
 * announced both runs, the earlier end was not logged. If only a line showed one of them, the end may still come. */
static int supersede_others(RunTracker *t, Run *by, const RunEntry *e)
{
        Run *run, *tmp;
        int r;

        DL_FOREACH_SAFE(by->service->runs, run, tmp) {
                if (run == by)
                        break;
                if (run->ended)
                        continue;
                if (e->type != RUN_ENTRY_LINE && run->start_seen) {
                        r = run_end(t, run, e, false);
                        if (r < 0)
                                return r;
                } else if (!run->superseded) {
                        r = slot_new(t, e, &run->hold, &run->slot);
                        if (r < 0)
                                return r;
                        run->superseded = true;
                        hold_begin(t, &run->hold);
                }
        }
        return 0;
}

int run_get(RunTracker *t, TrackedService *s, const RunEntry *e, Run **ret)
{
        Run *run;
        int r;

        run = run_find_by_invocation(s, e->invocation_id);
        if (!run) {
                r = run_new(t, s, e->invocation_id, &run);
                if (r < 0)
                        return r;
        }
        if (!run->ended) {
                r = supersede_others(t, run, e);
                if (r < 0)
                        return r;
        }
        *ret = run;
        return 0;
}
