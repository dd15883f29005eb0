/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A byte string becomes a journal: each four bytes are one entry (or something else that a reader does). The same
 * journal goes to several trackers, which must agree. */

#include "fuzz.h"
#include "shared/journal/run-tracker.h"

#define ENTRIES_MAX 512
#define SERVICES    3

typedef enum Op {
        OP_FEED,
        OP_ADVANCE,
} Op;

typedef struct Step {
        Op op;
        RunEntry entry; /* the others have a boot, a time and a slug, too */
        char cursor[16], text[80];
} Step;

typedef struct Journal {
        Step steps[ENTRIES_MAX];
        size_t n;
} Journal;

typedef struct Events {
        RunEvent *e;
        size_t n, allocated;
} Events;

static const char *const slugs[SERVICES] = { "a", "b-1", "c" };

/* --- making the journal --- */

static sd_id128_t id_of(uint64_t kind, uint64_t n)
{
        return n == 0 ? SD_ID128_NULL : (sd_id128_t){ .qwords = { kind, n } };
}

static void fill_text(Step *s, size_t serial, unsigned kind)
{
        static const char *const statuses[] = { "OK", "UPDATE", "WARNING", "FAILURE" };

        /* The message tells where it came from. */
        if (kind < ELEMENTSOF(statuses))
                snprintf(s->text, sizeof(s->text), "2026-11-23 10:00:00, %s, %s %zu", statuses[kind], s->entry.slug,
                         serial);
        else
                snprintf(s->text, sizeof(s->text), "%s %zu says nothing", s->entry.slug, serial);
        s->entry.text = s->text;
        s->entry.length = strlen(s->text);
}

/* Bytes: what and whose; how much later; which run; which stream, and what the line says. */
static void make_step(Step *s, size_t serial, const uint8_t b[static 4], uint64_t *boot, uint64_t *now)
{
        static const char *const results[] = { "exit-code", "signal", "timeout",   "oom-kill",
                                               "core-dump", NULL,     "resources", "x" };
        static const char *const exit_codes[] = { "exited", "killed", "dumped", NULL };
        unsigned kind = b[0] & 7;
        RunEntry *e = &s->entry;

        if (b[1] == 0xff) {
                ++*boot;
                *now = 0;
        } else
                *now += (uint64_t) (b[1] & 0x7f) * (b[1] & 0x80 ? 100 : 5) * USEC_PER_MSEC;
        snprintf(s->cursor, sizeof(s->cursor), "%zu", serial);
        *e = (RunEntry){
                .slug = slugs[(b[0] >> 3) % SERVICES],
                .cursor = s->cursor,
                .boot_id = id_of(3, *boot),
                .monotonic = *now,
                .realtime = (UINT64_C(1800000000) + *boot * 1000000) * USEC_PER_SEC + *now,
                /* Neither outlives its boot. */
                .invocation_id = id_of(1, b[2] > 0 ? *boot << 8 | b[2] : 0),
                .stream_id = id_of(2, *boot << 8 | (1U + (b[3] >> 3))),
                .exit_code = exit_codes[b[3] & 3],
                .exit_status = b[3],
                .result = results[b[3] & 7],
        };
        e->source_realtime = e->realtime - (b[0] & 0x40 ? 1000 : 0);
        if (kind <= RUN_ENTRY_LINE) {
                s->op = OP_FEED;
                e->type = (RunEntryType) kind;
                if (e->type == RUN_ENTRY_LINE)
                        fill_text(s, serial, b[3] & 7);
        } else if (kind == 5) {
                s->op = OP_FEED;
                e->type = RUN_ENTRY_LINE;
                e->invocation_id = SD_ID128_NULL;
                fill_text(s, serial, b[3] & 7);
        } else if (kind == 7 && b[2] & 1) {
                s->op = OP_FEED;
                e->type = RUN_ENTRY_STOP;
        } else
                s->op = OP_ADVANCE;
}

static void make_journal(Journal *j, const uint8_t *data, size_t n)
{
        uint64_t boot = 1, now = USEC_PER_SEC;

        for (j->n = 0; j->n < ENTRIES_MAX && n >= 4; j->n++, data += 4, n -= 4)
                make_step(&j->steps[j->n], j->n, data, &boot, &now);
}

/* --- playing it --- */

static int lookup(RunTracker *t, const RunEntry *end, void *userdata)
{
        Journal *j = userdata;

        for (size_t i = 0; i < j->n; i++) {
                const RunEntry *e = &j->steps[i].entry;
                int r = 0;

                if (j->steps[i].op != OP_FEED)
                        continue;
                if (streq(e->cursor, end->cursor))
                        break;
                if (!sd_id128_equal(e->invocation_id, end->invocation_id) || !streq(e->slug, end->slug))
                        continue;
                if (e->type == RUN_ENTRY_LINE)
                        r = run_tracker_add_earlier_line(t, e);
                else if (e->type == RUN_ENTRY_START)
                        r = run_tracker_add_earlier_start(t, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void drain(RunTracker *t, Events *ev)
{
        RunEvent e;

        while (run_tracker_next(t, &e) > 0) {
                if (ev->n == ev->allocated) {
                        ev->allocated = MAX(ev->allocated * 2, 16U);
                        ev->e = reallocarray(ev->e, ev->allocated, sizeof(*ev->e));
                        check(ev->e);
                }
                ev->e[ev->n++] = e;
        }
}

static void events_done(Events *ev)
{
        for (size_t i = 0; i < ev->n; i++)
                run_event_done(&ev->e[i]);
        free(ev->e);
}

/* Begins at step first; gives the events behind step muted (SIZE_MAX: all). */
static void play(Journal *j, size_t first, size_t muted, bool eager, Events *ev)
{
        _cleanup_(run_tracker_freep) RunTracker *t = NULL;
        sd_id128_t boot_id;
        uint64_t due;

        check(run_tracker_new(first > 0 ? lookup : NULL, j, &t) == 0);
        if (first > 0)
                run_tracker_begin_midway(t, j->steps[first - 1].entry.boot_id, j->steps[first - 1].entry.monotonic);
        for (size_t i = first; i < j->n; i++) {
                const Step *s = &j->steps[i];

                if (s->op == OP_FEED)
                        check(run_tracker_feed(t, &s->entry) == 0);
                else
                        check(run_tracker_advance(t, s->entry.boot_id, s->entry.monotonic) == 0);
                if (i == muted)
                        run_tracker_mute_until_here(t);
                if (eager && (muted == SIZE_MAX || i >= muted))
                        drain(t, ev);
        }

        /* Nothing is held for ever. */
        while (run_tracker_deadline(t, &boot_id, &due) > 0)
                check(run_tracker_advance(t, boot_id, due) == 0);
        drain(t, ev);
}

/* --- what must hold --- */

static size_t step_of(const Journal *j, const RunEvent *e)
{
        size_t n;

        check(e->cursor && sscanf(e->cursor, "%zu", &n) == 1 && n < j->n);
        check(j->steps[n].op == OP_FEED);
        return n;
}

/* told may be NULL. */
static void check_result(const Journal *j, const RunEvent *e, bool *told)
{
        char slug[8];
        size_t line;

        check(status_to_string(e->status) && e->error == RUN_ERROR_NONE && e->message && !e->detail);

        /* A line is told by the service that printed it, and once. */
        check(sscanf(e->message, "%7s %zu", slug, &line) == 2 && line < j->n);
        check(streq(slug, e->slug) && streq(slug, j->steps[line].entry.slug));
        if (told) {
                check(!told[line]);
                told[line] = true;
        }
}

static void check_events(const Journal *j, const Events *ev, bool once)
{
        bool told[ENTRIES_MAX] = {};
        size_t last = 0;

        for (size_t i = 0; i < ev->n; i++) {
                const RunEvent *e = &ev->e[i];
                size_t at = step_of(j, e);

                /* Several can stand at one entry: one that makes known that two runs have ended. */
                check(at >= last);
                last = at;
                check(streq_ptr(e->slug, j->steps[at].entry.slug));
                if (e->error == RUN_ERROR_NONE)
                        check_result(j, e, once ? told : NULL);
                else {
                        check(run_error_kind_to_string(e->error) && e->status == _STATUS_INVALID);
                        check(!isempty(e->detail) && !e->message && !e->correction);
                }
                check(e->timestamp > 0);
                if (e->duration != USEC_INFINITY)
                        check(e->started > 0 && e->ended >= e->started && e->duration == e->ended - e->started);
        }
}

static void check_same(const RunEvent *a, const RunEvent *b)
{
        check(streq(a->cursor, b->cursor) && streq(a->slug, b->slug));
        check(a->status == b->status && a->error == b->error && a->correction == b->correction);
        check(streq_ptr(a->message, b->message) && streq_ptr(a->detail, b->detail));
        check(a->timestamp == b->timestamp && a->started == b->started && a->duration == b->duration);
        check(sd_id128_equal(a->invocation_id, b->invocation_id));
}

/* b has the last of a's events. */
static void check_tail(const Events *a, const Events *b)
{
        check(b->n <= a->n);
        for (size_t i = 0; i < b->n; i++)
                check_same(&a->e[a->n - b->n + i], &b->e[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_free_ Journal *j = NULL;
        _cleanup_(events_done) Events eager = {}, late = {}, muted = {}, midway = {};
        size_t cut, behind = 0;

        if (n < 5)
                return 0;
        j = calloc(1, sizeof(*j));
        check(j);
        make_journal(j, data + 1, n - 1);
        cut = data[0] % j->n;

        play(j, 0, SIZE_MAX, true, &eager);
        check_events(j, &eager, true);

        /* When events are asked for changes none. */
        play(j, 0, SIZE_MAX, false, &late);
        check(late.n == eager.n);
        check_tail(&eager, &late);

        /* A reader that was there before sees exactly what lies behind its cursor. */
        play(j, 0, cut, true, &muted);
        for (size_t i = 0; i < eager.n; i++)
                behind += step_of(j, &eager.e[i]) > cut;
        check(muted.n == behind);
        check_tail(&eager, &muted);

        /* One that begins midway sees what it can. Of entries as wild as these that need not be the same: a run that ends
         * again after its service was forgotten is looked up again. */
        play(j, cut, cut, true, &midway);
        check_events(j, &midway, false);
        return 0;
}
