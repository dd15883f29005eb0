/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/journal/run-tracker-internal.h"

/* How an entry becomes an event.
 *
 * The manager and the script reach journald over different sockets. The manager's entries of one service are in order
 * among themselves, and so are the lines of one stream (a run has one stream), but between the two anything goes: when
 * journald lags behind a short run, its line may come before its start or after its end. A line that journald reads
 * when the process is gone has no invocation id ("anonymous"); its stream then says only that it is a run's.
 *
 * 1. Each entry that an event may stand at reserves a slot in the output. Events leave in the order of the slots, so a
 *    held one holds back what follows, and a cursor that has been given out has nothing unconcluded before it.
 * 2. A run that ended well and has its valid line is a result at once. Without one it is held for RUN_GRACE_USEC of the
 *    journal's time. One that failed is an error at once.
 *    A line that comes after the result corrects it, with those that follow it within as long.
 * 3. The stream of an anonymous line is held just as long, unclaimed. Ended runs without a stream claim such streams in
 *    order. Where a failed run is among them it is not known whether it printed anything: that is decided when its own
 *    grace is over, by whether there are enough streams for all.
 * 4. A stream that nobody claimed in time belongs to the run that is under way, else to a run that ended a moment ago
 *    (a correction), else to one of which the manager's entries were lost: it is a result of its own then.
 * 5. Where runs follow each other closely, journald may even stamp a line with the invocation id of the next run. So an
 *    ended run without a stream also takes that of the next one, when it came before the next one's start; and when a
 *    second stream comes with one id, the first was of an earlier run.
 * 6. One that SIGTERM has ended is held as well: of a unit that it was told to stop, the manager says so right after that it failed.
 * 7. A run whose end was not logged (log level, full socket) ends when the next run shows itself.
 *
 * Every decision depends on the entries and their times only. */

/* How much later than its run's end a line may come and still correct it. */
#define LATE_USEC (10 * USEC_PER_SEC)

/* So few services are not worth a sweep. */
#define SWEEP_SERVICES_MIN 16U

/* Past this the oldest held event is concluded before its time. */
#define SLOTS_MAX      16384
#define SLOT_BYTES_MAX (32U * 1024 * 1024)

/* --- what becomes due --- */

/* A failed run is the first that may claim a stream: did it print the first of them? Only if there are enough for all. */
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

        /* Runs that wait behind a failed one. */
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
        /* What was under way was cut short by the end of the boot. One that had said its status may have ended unseen. */
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
                /* All of a later boot is seen. */
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

/* Takes the line. */
static void stream_add_line(Stream *m, StatusLine *line)
{
        if (m->has_line)
                status_line_done(&m->line);
        m->line = *line;
        m->has_line = true;
}

/* Makes room for the stream of this line, where the run has one: that one is an earlier run's, or nobody's for now. */
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

        /* The stream is asked first: an invocation id read late can be that of the next run. */
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
                /* What seemed to follow it cannot have. */
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
                /* What came before the tracker began and what came after can be one stream. */
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
