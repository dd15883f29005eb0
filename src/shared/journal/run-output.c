/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/journal/run-tracker-internal.h"

void hold_begin(RunTracker *t, Hold *h)
{
        if (h->active)
                return;
        h->active = true;
        h->due = t->now + RUN_GRACE_USEC;
        DL_APPEND(t->holds, h);
}

void hold_end(RunTracker *t, Hold *h)
{
        if (!h->active)
                return;
        h->active = false;
        DL_DELETE(t->holds, h);
}

int slot_new(RunTracker *t, const RunEntry *e, Hold *hold, Slot **ret)
{
        Slot *s;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->cursor = strdup(e->cursor);
        if (!s->cursor) {
                free(s);
                return -ENOMEM;
        }
        s->seq = t->seq;
        s->realtime = e->realtime;
        s->event = RUN_EVENT_INIT;
        s->hold = hold;
        DL_APPEND(t->slots, s);
        t->n_slots++;
        *ret = s;
        return 0;
}

void slot_cancel(Slot **slot)
{
        if (!*slot)
                return;
        (*slot)->cancelled = true;
        (*slot)->hold = NULL;
        *slot = NULL;
}

void slot_free(RunTracker *t, Slot *s)
{
        DL_DELETE(t->slots, s);
        t->n_slots--;
        if (s->event.message)
                t->slot_bytes -= strlen(s->event.message);
        run_event_done(&s->event);
        free(s->cursor);
        free(s);
}

Slot *slot_first_held(RunTracker *t)
{
        Slot *s;

        DL_FOREACH(t->slots, s)
                if (!s->ready && !s->cancelled)
                        return s;
        return NULL;
}

void run_line_clear(Run *run)
{
        if (run->has_line)
                status_line_done(&run->line);
        run->has_line = false;
}

static int slot_fill(RunTracker *t, Slot *slot, const Run *run)
{
        RunEvent *e = &slot->event;

        e->slug = strdup(run->service->slug);
        if (!e->slug)
                return -ENOMEM;
        e->cursor = TAKE_PTR(slot->cursor);
        e->invocation_id = run->invocation_id;
        e->started = run->started;
        e->ended = run->ended_at;
        if (run->started > 0 && run->ended_at >= run->started)
                e->duration = run->ended_at - run->started;
        slot->hold = NULL;
        slot->ready = true;
        return 0;
}

int fill_result(RunTracker *t, Slot *slot, Run *run)
{
        int r;

        r = slot_fill(t, slot, run);
        if (r < 0)
                return r;
        slot->event.status = run->line.status;
        slot->event.message = TAKE_PTR(run->line.message);
        slot->event.timestamp = run->line.timestamp;
        t->slot_bytes += strlen(slot->event.message);
        run_line_clear(run);
        return 0;
}

/* Takes ownership of detail. */
static int fill_error(RunTracker *t, Slot *slot, Run *run, RunErrorKind kind, char *detail)
{
        int r;

        slot->event.detail = detail;
        r = slot_fill(t, slot, run);
        if (r < 0)
                return r;
        slot->event.error = kind;
        slot->event.stopped = run->stopped;
        slot->event.timestamp = run->ended_at ?: slot->realtime;
        run_line_clear(run);
        return 0;
}

int fill_failure(RunTracker *t, Slot *slot, Run *run, const char *result)
{
        RunErrorKind kind;
        char *detail;
        int r;

        r = run_failure_describe(result, run->exit_code, run->exit_status, &kind, &detail);
        if (r < 0)
                return r;
        if (run->stopped) {
                free(detail);
                detail = strdup("was stopped before it ended");
                if (!detail)
                        return -ENOMEM;
        }
        return fill_error(t, slot, run, kind, detail);
}

int run_conclude_failure(RunTracker *t, Run *run)
{
        Slot *slot = TAKE_PTR(run->slot);

        run->undecided = false;
        run->concluded = true;
        return fill_failure(t, slot, run, "signal");
}

int run_correct(RunTracker *t, Run *run)
{
        Slot *slot = TAKE_PTR(run->slot);

        run->correcting = false;
        hold_end(t, &run->hold);
        slot->event.correction = true;
        return fill_result(t, slot, run);
}

int run_conclude(RunTracker *t, Run *run)
{
        Slot *slot = TAKE_PTR(run->slot);
        char *detail;

        run->concluded = true;
        hold_end(t, &run->hold);
        if (run->has_line)
                return fill_result(t, slot, run);
        detail = strdup("printed no status line");
        if (!detail)
                return -ENOMEM;
        return fill_error(t, slot, run, RUN_ERROR_NO_STATUS_LINE, detail);
}
