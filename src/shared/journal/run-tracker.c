/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/journal/run-tracker-internal.h"

/* How entries become events.
 *
 * The manager and the script reach journald over different sockets. A service's entries from the manager are in order,
 * and so are the lines of one stream (each run has one stream). Between the two, any order is possible: if journald
 * lags behind a short run, a line may come before the run's start or after its end. If the process is gone when
 * journald reads a line, the line has no invocation ID ("anonymous"); its stream then only shows that it belongs to
 * some run.
 *
 * 1. Each entry at which an event may be reported reserves a slot in the output. Events leave in the order of the
 *    slots. So a held slot delays those after it, and everything before a reported cursor is concluded.
 * 2. A run that ended well and has a valid line gives a result at once. Without a line, it is held for RUN_GRACE_USEC
 *    of the journal's time. A failed run gives an error at once. A later line corrects the result, together with lines
 *    that follow it within the same period.
 * 3. The stream of an anonymous line is held equally long, unclaimed. Ended runs without a stream claim such streams in
 *    order. It is not known whether a failed run printed anything. When its own grace is over, it claims a stream only
 *    if there are enough for all.
 * 4. A stream that nobody claimed in time belongs to the run that is under way, or else to a run that ended a moment
 *    ago (a correction). If there is neither, the manager's entries about its run were lost, and the stream gives a
 *    result of its own.
 * 5. If runs follow each other closely, journald may even give a line the invocation ID of the next run. So an ended
 *    run without a stream also takes the next run's stream if that came before the next run's start. If a second stream
 *    comes with the same ID, the first belonged to an earlier run.
 * 6. A run ended by SIGTERM is held too: if the manager was told to stop the unit, it says so right after reporting the
 *    failure.
 * 7. If the end of a run was not logged (log level, full socket), the run ends when the next run shows itself.
 *
 * Every decision depends only on the entries and their times. */

/* How late after a run's end a line may still correct its result. */
#define LATE_USEC (10 * USEC_PER_SEC)

/* With fewer services, a sweep is not worth it. */
#define SWEEP_SERVICES_MIN 16U

/* Beyond these limits, the oldest held event is concluded early. */
#define SLOTS_MAX      16384
#define SLOT_BYTES_MAX (32U * 1024 * 1024)

/* --- holds that become due --- */

/* A failed run is the first that may claim a stream. Whether it printed the first stream is unknown, so it claims
 * that one only if there are enough streams for all runs. */
static int decide_failed(RunTracker *t, Run *run)
{
        TrackedService *s = run->service;
        unsigned claims = 0, streams = 0;
        Stream *m;
        Run *i;
        int r;

        if (run->undecided) {
                r = run_conclude_failure(t, run);
                if (r < 0)
                        return r;
        }
        DL_FOREACH(s->runs, i)
                claims += run_claims(i);
        DL_COUNT(s->unclaimed, m, streams);
        if (run_claims(run) && streams > 0 && streams >= claims) {
                r = run_claim(t, run, s->unclaimed, NULL);
                if (r < 0)
                        return r;
        }
        hold_end(t, &run->hold);
        return service_match(t, s);
}

static int run_due(RunTracker *t, Run *run)
{
        if (run->correcting)
                return run_correct(t, run);
        if (run->concluded || run->undecided)
                return decide_failed(t, run);
        run->ended = true;
        return run_conclude(t, run);
}

static Run *first_claiming(TrackedService *s)
{
        Run *run;

        DL_FOREACH(s->runs, run)
                if (run_claims(run))
                        return run;
        return NULL;
}

static int stream_due(RunTracker *t, Stream *m)
{
        Run *run, *under_way = NULL, *late = NULL;
        TrackedService *s = m->service;
        sd_id128_t id = m->id;
        Slot *slot;
        int r;

        /* Runs may wait behind a failed one. */
        while ((run = first_claiming(s))) {
                r = run->failed ? decide_failed(t, run) : service_match(t, s);
                if (r < 0 || !stream_find(s, id))
                        return r;
        }
        DL_FOREACH(s->runs, run) {
                if (run->has_stream)
                        continue;
                if (!run->ended && run->start_seen)
                        under_way = run;
                else if (run->ended && !late && run->ended_monotonic + LATE_USEC >= m->monotonic)
                        late = run;
        }
        /* Its run may have ended before the tracker began. */
        if (m->doubtful) {
                stream_free(t, m);
                return 0;
        }
        if (under_way)
                return run_claim(t, under_way, m, NULL);
        if (late && (late->failed || !m->has_line))
                return run_claim(t, late, m, NULL);
        if (!late) {
                r = run_new(t, s, SD_ID128_NULL, &run);
                if (r < 0)
                        return r;
                run->ended = run->concluded = true;
                run->ended_monotonic = m->monotonic;
                late = run;
        } else
                m->slot->event.correction = true;

        run_bind(late, m->id);
        slot = TAKE_PTR(m->slot);
        if (m->has_line) {
                late->line = m->line;
                late->has_line = true;
                m->has_line = false;
                r = fill_result(t, slot, late);
        } else {
                slot_cancel(&slot);
                r = 0;
        }
        stream_free(t, m);
        return r;
}

static int hold_due(RunTracker *t, Hold *h)
{
        return h->type == HOLD_RUN ? run_due(t, hold_run(h)) : stream_due(t, hold_stream(h));
}

static int boot_changed(RunTracker *t)
{
        TrackedService *s, *stmp;
        Run *run, *rtmp;
        int r;

        while (t->holds) {
                r = hold_due(t, t->holds);
                if (r < 0)
                        return r;
        }
        /* The end of the boot interrupted all runs that were under way. A run that had printed a status may have
         * ended unseen. */
        HASH_ITER(hh, t->services, s, stmp)
                DL_FOREACH_SAFE(s->runs, run, rtmp)
                        if (run->ended || !run->has_line)
                                run_free(t, run);
        return 0;
}

int run_tracker_advance(RunTracker *t, sd_id128_t boot_id, uint64_t monotonic)
{
        int r;

        if (!sd_id128_equal(t->boot_id, boot_id)) {
                r = boot_changed(t);
                if (r < 0)
                        return r;
                /* A later boot is seen completely. */
                if (!sd_id128_is_null(t->boot_id))
                        t->midway = false;
                else if (t->midway)
                        t->began = monotonic;
                t->boot_id = boot_id;
                t->now = monotonic;
                return 0;
        }
        if (monotonic > t->now)
                t->now = monotonic;
        while (t->holds && t->holds->due <= t->now) {
                r = hold_due(t, t->holds);
                if (r < 0)
                        return r;
        }
        return 0;
}

int run_tracker_deadline(RunTracker *t, sd_id128_t *ret_boot_id, uint64_t *ret_monotonic)
{
        if (!t->holds)
                return 0;
        *ret_boot_id = t->boot_id;
        *ret_monotonic = t->holds->due;
        return 1;
}

/* --- entries --- */

static int parse_line(const RunEntry *e, StatusLine *ret)
{
        int r;

        r = status_line_parse(e->text, e->length, e->realtime, ret);
        return r == -EBADMSG ? 0 : r < 0 ? r : 1;
}

static int stream_new(RunTracker *t, TrackedService *s, const RunEntry *e, Stream **ret)
{
        Stream *m;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        r = slot_new(t, e, &m->hold, &m->slot);
        if (r < 0) {
                free(m);
                return r;
        }
        m->hold.type = HOLD_STREAM;
        m->service = s;
        m->id = e->stream_id;
        m->monotonic = t->now;
        m->doubtful = t->midway && t->now < t->began + RUN_GRACE_USEC;
        DL_APPEND(s->unclaimed, m);
        hold_begin(t, &m->hold);
        *ret = m;
        return 0;
}

/* Takes ownership of the line. */
static void stream_add_line(Stream *m, StatusLine *line)
{
        if (m->has_line)
                status_line_done(&m->line);
        m->line = *line;
        m->has_line = true;
}

/* Makes room for the stream of this line. If the run already has a stream, that stream belongs to an earlier run, or
 * to nobody yet. */
static int bind_second(RunTracker *t, Run *run, const RunEntry *e)
{
        Stream *m;
        Run *i;
        int r;

        if (!run->has_stream || run->concluded)
                return 0;
        for (i = run; i != run->service->runs;) {
                i = i->prev;
                if (!i->has_stream && (!i->ended || i->ended_monotonic + LATE_USEC >= t->now))
                        return run_move_stream(t, run, i, e);
        }
        if (!run->has_line)
                return 0;
        r = stream_new(t, run->service, e, &m);
        if (r < 0)
                return r;
        m->id = run->stream_id;
        stream_add_line(m, &run->line);
        run->has_line = false;
        return 0;
}

static int feed_line(RunTracker *t, TrackedService *s, const RunEntry *e)
{
        bool anonymous = sd_id128_is_null(e->invocation_id);
        StatusLine line = {};
        Stream *m = NULL;
        Run *run;
        int r, valid;

        valid = parse_line(e, &line);
        if (valid < 0)
                return valid;

        /* Look for the stream first: an invocation ID that journald read late may be the next run's. */
        run = run_find_by_stream(s, e->stream_id);
        if (!run)
                m = stream_find(s, e->stream_id);
        if (!run && !m && anonymous) {
                r = stream_new(t, s, e, &m);
                if (r < 0)
                        goto fail;
        }
        if (!run && !anonymous) {
                r = run_get(t, s, e, &run);
                if (r < 0)
                        goto fail;
                r = m ? run_claim(t, run, TAKE_PTR(m), e) : bind_second(t, run, e);
                if (r < 0)
                        goto fail;
                run_bind(run, e->stream_id);
                run->stream_seq = t->seq;
                run->early = !run->start_seen;
        }
        if (run)
                return valid ? run_add_line(t, run, &line, e) : 0;
        if (valid)
                stream_add_line(m, &line);
        return service_match(t, s);

fail:
        status_line_done(&line);
        return r;
}

static int feed_stop(RunTracker *t, TrackedService *s, const RunEntry *e)
{
        Run *run = run_find_by_invocation(s, e->invocation_id);
        int r;

        if (!run || !run->undecided)
                return 0;
        run->stopped = true;
        r = run_conclude_failure(t, run);
        if (r >= 0 && run->has_stream)
                hold_end(t, &run->hold);
        return r;
}

static int feed_manager(RunTracker *t, TrackedService *s, const RunEntry *e)
{
        Stream *m;
        Run *run;
        int r;

        if (sd_id128_is_null(e->invocation_id))
                return 0;
        if (e->type == RUN_ENTRY_STOP)
                return feed_stop(t, s, e);
        r = run_get(t, s, e, &run);
        if (r < 0 || run->ended)
                return r;

        switch (e->type) {
        case RUN_ENTRY_START:
                run->start_seen = true;
                run->started = e->source_realtime;
                /* It starts only now, so the run that seemed to follow it cannot have done so. */
                run->superseded = false;
                hold_end(t, &run->hold);
                slot_cancel(&run->slot);
                return 0;
        case RUN_ENTRY_EXIT:
                snprintf(run->exit_code, sizeof(run->exit_code), "%s", strempty(e->exit_code));
                run->exit_status = e->exit_status;
                return 0;
        default:
                if (!run->start_seen && t->lookup) {
                        t->looking_up = run;
                        r = t->lookup(t, e, t->userdata);
                        t->looking_up = NULL;
                        if (r < 0)
                                return r;
                }
                /* Lines from before and after the tracker began may belong to one stream. */
                m = run->has_stream ? stream_find(s, run->stream_id) : NULL;
                if (m) {
                        r = run_claim(t, run, m, e);
                        if (r < 0)
                                return r;
                }
                run->ended_at = e->source_realtime;
                return run_end(t, run, e, e->type == RUN_ENTRY_FAILURE);
        }
}

int run_tracker_add_earlier_start(RunTracker *t, const RunEntry *start)
{
        t->looking_up->start_seen = true;
        t->looking_up->started = start->source_realtime;
        return 0;
}

int run_tracker_add_earlier_line(RunTracker *t, const RunEntry *e)
{
        Run *run = t->looking_up, *other;
        StatusLine line;
        int r;

        other = run_find_by_stream(run->service, e->stream_id);
        if (other && other != run)
                return 0;
        run_bind(run, e->stream_id);
        r = parse_line(e, &line);
        return r <= 0 ? r : run_add_line(t, run, &line, e);
}

static int service_get(RunTracker *t, const char *slug, TrackedService **ret)
{
        TrackedService *s;

        HASH_FIND_STR(t->services, slug, s);
        if (!s) {
                s = calloc(1, sizeof(*s));
                if (!s)
                        return -ENOMEM;
                snprintf(s->slug, sizeof(s->slug), "%s", slug);
                HASH_ADD_STR(t->services, slug, s);
        }
        *ret = s;
        return 0;
}

int run_tracker_feed(RunTracker *t, const RunEntry *e)
{
        TrackedService *s;
        Slot *slot;
        int r;

        r = run_tracker_advance(t, e->boot_id, e->monotonic);
        if (r < 0)
                return r;
        t->seq++;
        r = service_get(t, e->slug, &s);
        if (r < 0)
                return r;
        r = e->type == RUN_ENTRY_LINE ? feed_line(t, s, e) : feed_manager(t, s, e);
        if (r < 0)
                return r;

        while (t->n_slots > SLOTS_MAX || t->slot_bytes > SLOT_BYTES_MAX) {
                slot = slot_first_held(t);
                if (!slot)
                        break;
                r = hold_due(t, slot->hold);
                if (r < 0)
                        return r;
        }
        return 0;
}

void run_tracker_begin_midway(RunTracker *t, sd_id128_t boot_id, uint64_t monotonic)
{
        t->midway = true;
        t->boot_id = boot_id;
        t->began = monotonic;
}

void run_tracker_mute_until_here(RunTracker *t)
{
        t->muted_until = t->seq;
}

int run_tracker_next(RunTracker *t, RunEvent *ret)
{
        Slot *s;

        while ((s = t->slots)) {
                if (!s->cancelled && !s->ready)
                        return 0;
                if (s->ready && s->seq > t->muted_until) {
                        if (s->event.message)
                                t->slot_bytes -= strlen(s->event.message);
                        *ret = s->event;
                        s->event = RUN_EVENT_INIT;
                        slot_free(t, s);
                        return 1;
                }
                slot_free(t, s);
        }
        return 0;
}

/* --- the tracker itself --- */

static void service_free(RunTracker *t, TrackedService *s)
{
        while (s->runs)
                run_free(t, s->runs);
        while (s->unclaimed)
                stream_free(t, s->unclaimed);
        HASH_DEL(t->services, s);
        free(s);
}

void run_tracker_sweep(RunTracker *t, bool (*keep)(const char *slug, void *userdata), void *userdata)
{
        TrackedService *s, *tmp;

        if (HASH_COUNT(t->services) <= 2 * t->n_kept + SWEEP_SERVICES_MIN)
                return;
        HASH_ITER(hh, t->services, s, tmp)
                if (!keep(s->slug, userdata))
                        service_free(t, s);
        t->n_kept = HASH_COUNT(t->services);
}

int run_tracker_new(run_tracker_lookup_t lookup, void *userdata, RunTracker **ret)
{
        RunTracker *t;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->lookup = lookup;
        t->userdata = userdata;
        *ret = t;
        return 0;
}

RunTracker *run_tracker_free(RunTracker *t)
{
        TrackedService *s, *tmp;

        if (!t)
                return NULL;
        HASH_ITER(hh, t->services, s, tmp)
                service_free(t, s);
        while (t->slots)
                slot_free(t, t->slots);
        free(t);
        return NULL;
}
