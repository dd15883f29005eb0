/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "shared/journal/entry.h"
#include "shared/journal/follow-internal.h"
#include "shared/time-util.h"

/* How many entries are read before the event loop gets its turn. */
#define ENTRIES_PER_TURN 256

/* Until it is closed, sd-journal keeps everything it has read mapped: a third of a gigabyte for a million entries.
 * With 200 files, opening it again and finding the place takes a tenth of a second. */
#define ENTRIES_PER_OPENING 100000U

/* An entry may become visible this much later than its timestamp. */
#define SLACK_USEC (200 * USEC_PER_MSEC)

/* Status lines are shorter, so longer data need not be decompressed. */
#define DATA_THRESHOLD (8 * 1024)

#define LOOKUP_LIFE_USEC USEC_PER_SEC

/* Looks for an expected entry after 2, 6, 14, … 254 ms. */
#define EXPECT_FIRST_USEC (2 * USEC_PER_MSEC)
#define EXPECT_LAST_USEC  (128 * USEC_PER_MSEC)

static int open_journal(sd_journal **ret)
{
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        int r;

        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        r = sd_journal_set_data_threshold(j, DATA_THRESHOLD);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

static int open_lookup(JournalFollow *f)
{
        if (f->lookup && f->lookup_opened + LOOKUP_LIFE_USEC > now_usec(CLOCK_MONOTONIC))
                return 0;
        sd_journal_close(f->lookup);
        f->lookup = NULL;
        f->lookup_opened = now_usec(CLOCK_MONOTONIC);
        return open_journal(&f->lookup);
}

/* Finds the earlier entries of a run that was under way when the reader began. */
static int on_lookup(RunTracker *t, const RunEntry *end, void *userdata)
{
        JournalFollow *f = userdata;
        int r;

        /* With set_unit(), the unit is followed from its start. */
        if (f->unit)
                return 0;
        r = open_lookup(f);
        if (r < 0)
                return r;
        r = journal_match_invocation(f->lookup, end->invocation_id);
        if (r < 0)
                return r;
        r = sd_journal_seek_head(f->lookup);
        while (r >= 0 && (r = sd_journal_next(f->lookup)) > 0) {
                JournalEntry e = {};

                r = journal_entry_read(f->lookup, &e);
                if (r <= 0)
                        continue;
                if (streq(e.cursor, end->cursor)) {
                        journal_entry_done(&e);
                        return 0;
                }
                if (streq(e.slug, end->slug) && e.entry.type == RUN_ENTRY_LINE)
                        r = run_tracker_add_earlier_line(t, &e.entry);
                else if (streq(e.slug, end->slug) && e.entry.type == RUN_ENTRY_START)
                        r = run_tracker_add_earlier_start(t, &e.entry);
                journal_entry_done(&e);
        }
        return r;
}

/* Reports concluded runs. Returns 1 when none is left, 0 if a callback paused or stopped the reader. */
static int give_out(JournalFollow *f)
{
        int r;

        while (f->tracker && !f->paused) {
                RunEvent e = RUN_EVENT_INIT;

                r = run_tracker_next(f->tracker, &e);
                if (r <= 0)
                        return r < 0 ? r : 1;
                f->expect_delay = 0;
                r = f->ops->event(&e, f->userdata);
                run_event_done(&e);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Caches the last answer, because a service's entries come together. */
static bool is_installed(JournalFollow *f, const char *slug)
{
        if (!streq(f->asked_slug, slug)) {
                memcpy(f->asked_slug, slug, strlen(slug) + 1);
                f->asked_answer = f->ops->is_installed(slug, f->userdata);
        }
        return f->asked_answer;
}

static int read_one(JournalFollow *f)
{
        JournalEntry e = {};
        int r;

        r = journal_entry_read_unit(f->journal, f->unit, &e);
        /* A new entry is from the current boot. */
        if (r > 0 && f->caught_up)
                f->boot_id = e.entry.boot_id;
        if (r > 0 && (f->unit || is_installed(f, e.slug))) {
                if (f->ops->entry)
                        f->ops->entry(&e.entry, f->userdata);
                r = run_tracker_feed(f->tracker, &e.entry);
        }
        journal_entry_done(&e);
        if (r < 0)
                return r;
        if (f->muted_left > 0 && --f->muted_left == 0)
                run_tracker_mute_until_here(f->tracker);
        return 0;
}

/* At the journal's end, only the clock shows that a held run will get no more entries. */
static int at_tail(JournalFollow *f)
{
        uint64_t due, now = now_usec(CLOCK_MONOTONIC);
        sd_id128_t boot;
        int r;

        if (run_tracker_deadline(f->tracker, &boot, &due) > 0 && now >= SLACK_USEC) {
                r = sd_id128_is_null(f->boot_id) ? journal_boot_id(&f->boot_id) : 0;
                if (r >= 0)
                        r = run_tracker_advance(f->tracker, f->boot_id, now - SLACK_USEC);
                if (r < 0)
                        return r;
        }
        r = give_out(f);
        if (r <= 0)
                return r;
        if (run_tracker_deadline(f->tracker, &boot, &due) > 0) {
                r = sd_event_source_set_time(f->grace_timer, due + SLACK_USEC);
                if (r >= 0)
                        r = sd_event_source_set_enabled(f->grace_timer, SD_EVENT_ONESHOT);
                if (r < 0)
                        return r;
        }
        if (!f->unit)
                run_tracker_sweep(f->tracker, f->ops->is_installed, f->userdata);
        sd_journal_close(f->lookup);
        f->lookup = NULL;
        if (!f->caught_up) {
                f->caught_up = true;
                if (f->ops->caught_up)
                        f->ops->caught_up(f->userdata);
        }
        return 0;
}

static int reopen(JournalFollow *f);

static int work(JournalFollow *f)
{
        int r;

        r = journal_follow_seek_go_on(f, ENTRIES_PER_TURN);
        if (r <= 0)
                return r < 0 ? r : sd_event_source_set_enabled(f->work, SD_EVENT_ONESHOT);
        if (f->gap_cursor) {
                _cleanup_free_ char *cursor = TAKE_PTR(f->gap_cursor);

                if (f->ops->gap)
                        f->ops->gap(cursor, f->gap_from, f->gap_to, f->userdata);
        }
        f->asked_slug[0] = '\0';
        for (unsigned i = 0; f->journal && !f->paused; i++) {
                /* Report nothing before the cursor is reached. */
                if (f->muted_left == 0) {
                        r = give_out(f);
                        if (r <= 0)
                                return r;
                }
                if (i == ENTRIES_PER_TURN)
                        return sd_event_source_set_enabled(f->work, SD_EVENT_ONESHOT);
                r = sd_journal_next(f->journal);
                if (r == 0 && f->muted_left > 0) {
                        /* The journal has become shorter. */
                        f->muted_left = 0;
                        run_tracker_mute_until_here(f->tracker);
                }
                if (r <= 0)
                        return r < 0 ? r : at_tail(f);
                r = read_one(f);
                if (r >= 0 && ++f->n_read >= f->entries_per_opening)
                        r = reopen(f);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void fail(JournalFollow *f, int error)
{
        journal_follow_stop(f);
        f->ops->failed(error, f->userdata);
}

static int on_work(sd_event_source *s, void *userdata)
{
        JournalFollow *f = userdata;
        int r;

        r = work(f);
        if (r < 0)
                fail(f, r);
        return 0;
}

static int wake(JournalFollow *f)
{
        if (f->paused || !f->work)
                return 0;
        return sd_event_source_set_enabled(f->work, SD_EVENT_ONESHOT);
}

static int process(JournalFollow *f)
{
        uint64_t timeout;
        int r;

        r = sd_journal_process(f->journal);
        if (r < 0)
                return r;
        if (r != SD_JOURNAL_NOP) {
                r = wake(f);
                if (r < 0)
                        return r;
        }
        r = sd_journal_get_timeout(f->journal, &timeout);
        if (r < 0)
                return r;
        if (timeout == UINT64_MAX)
                return sd_event_source_set_enabled(f->journal_timer, SD_EVENT_OFF);
        r = sd_event_source_set_time(f->journal_timer, timeout);
        return r < 0 ? r : sd_event_source_set_enabled(f->journal_timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        JournalFollow *f = userdata;
        int r;

        r = process(f);
        if (r < 0)
                fail(f, r);
        return 0;
}

static int on_journal_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        return on_io(s, -1, 0, userdata);
}

static int on_grace_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        JournalFollow *f = userdata;
        int r;

        r = wake(f);
        if (r < 0)
                fail(f, r);
        return 0;
}

static int look_again(JournalFollow *f)
{
        uint64_t delay = f->expect_delay;
        int r;

        if (delay == 0 || delay > EXPECT_LAST_USEC)
                return 0;
        f->expect_delay = delay * 2;
        r = sd_event_source_set_time_relative(f->expect_timer, delay);
        return r < 0 ? r : sd_event_source_set_enabled(f->expect_timer, SD_EVENT_ONESHOT);
}

static int on_expect_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        JournalFollow *f = userdata;
        int r;

        r = f->expect_delay > 0 ? wake(f) : 0;
        if (r >= 0)
                r = look_again(f);
        if (r < 0)
                fail(f, r);
        return 0;
}

int journal_follow_expect(JournalFollow *f)
{
        int r;

        if (!f->work || f->paused)
                return 0;
        f->expect_delay = EXPECT_FIRST_USEC;
        r = wake(f);
        return r < 0 ? r : look_again(f);
}

int journal_follow_add_matches(JournalFollow *f)
{
        return f->unit ? journal_match_unit(f->journal, f->unit) : journal_match_all(f->journal);
}

static int attach(JournalFollow *f)
{
        int r, fd;

        r = open_journal(&f->journal);
        if (r < 0)
                return r;
        r = journal_follow_add_matches(f);
        if (r < 0)
                return r;
        /* Begin to watch before reading, so that no entry is missed in between. */
        fd = sd_journal_get_fd(f->journal);
        if (fd < 0)
                return fd;
        r = sd_event_add_io(f->event, &f->io, fd, (uint32_t) sd_journal_get_events(f->journal), on_io, f);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(f->io, "journal");
        f->n_read = 0;
        return 0;
}

static void detach(JournalFollow *f)
{
        f->io = sd_event_source_disable_unref(f->io);
        sd_journal_close(f->journal);
        f->journal = NULL;
}

/* Opens the journal again and returns to the current entry. -ESTALE if it is gone. */
static int reopen(JournalFollow *f)
{
        _cleanup_free_ char *cursor = NULL;
        int r;

        r = sd_journal_get_cursor(f->journal, &cursor);
        if (r < 0)
                return r;
        detach(f);
        r = attach(f);
        if (r < 0)
                return r;
        r = sd_journal_seek_cursor(f->journal, cursor);
        if (r >= 0)
                r = sd_journal_next(f->journal);
        if (r > 0)
                r = sd_journal_test_cursor(f->journal, cursor);
        if (r <= 0)
                return r < 0 ? r : -ESTALE;
        return process(f);
}

static int begin(JournalFollow *f, const char *after_cursor, uint64_t since)
{
        int r;

        r = attach(f);
        if (r < 0)
                return r;
        r = run_tracker_new(on_lookup, f, &f->tracker);
        if (r < 0)
                return r;
        r = sd_event_add_time(f->event, &f->journal_timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_journal_timer, f);
        if (r < 0)
                return r;
        r = sd_event_add_time(f->event, &f->grace_timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_grace_timer, f);
        if (r < 0)
                return r;
        r = sd_event_add_time(f->event, &f->expect_timer, CLOCK_MONOTONIC, UINT64_MAX, USEC_PER_MSEC, on_expect_timer,
                              f);
        if (r < 0)
                return r;
        r = sd_event_add_defer(f->event, &f->work, on_work, f);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(f->work, "journal-work");
        r = sd_event_source_set_enabled(f->work, f->paused ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
        if (r < 0)
                return r;
        r = after_cursor ? journal_follow_seek_after(f, after_cursor) : journal_follow_seek_since(f, since);
        return r < 0 ? r : process(f);
}

int journal_follow_set_unit(JournalFollow *f, const char *unit)
{
        int r = free_and_strdup(&f->unit, unit);

        return MIN(r, 0);
}

int journal_follow_start(JournalFollow *f, const char *after_cursor, uint64_t since)
{
        int r;

        journal_follow_stop(f);
        f->caught_up = false;
        f->boot_id = SD_ID128_NULL;
        r = begin(f, after_cursor, since);
        if (r < 0)
                journal_follow_stop(f);
        return r;
}

void journal_follow_stop(JournalFollow *f)
{
        f->work = sd_event_source_disable_unref(f->work);
        f->grace_timer = sd_event_source_disable_unref(f->grace_timer);
        f->expect_timer = sd_event_source_disable_unref(f->expect_timer);
        f->journal_timer = sd_event_source_disable_unref(f->journal_timer);
        f->tracker = run_tracker_free(f->tracker);
        detach(f);
        sd_journal_close(f->lookup);
        f->lookup = NULL;
        free(TAKE_PTR(f->gap_cursor));
        free(TAKE_PTR(f->seek.cursor));
        f->seek.phase = SEEK_DONE;
        f->muted_left = 0;
}

int journal_follow_pause(JournalFollow *f, bool pause)
{
        f->paused = pause;
        if (!f->work)
                return 0;
        if (pause)
                return sd_event_source_set_enabled(f->work, SD_EVENT_OFF);
        return wake(f);
}

int journal_follow_has(JournalFollow *f, const char *cursor)
{
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        int r;

        r = open_journal(&j);
        if (r >= 0)
                r = sd_journal_seek_cursor(j, cursor);
        if (r >= 0)
                r = sd_journal_next(j);
        return r > 0 ? sd_journal_test_cursor(j, cursor) : r;
}

/* --- the object --- */

int journal_follow_new(sd_event *event, const JournalFollowOps *ops, void *userdata, JournalFollow **ret)
{
        _cleanup_(journal_follow_freep) JournalFollow *f = NULL;

        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->event = sd_event_ref(event);
        f->ops = ops;
        f->userdata = userdata;
        f->entries_per_opening = ENTRIES_PER_OPENING;
        *ret = TAKE_PTR(f);
        return 0;
}

JournalFollow *journal_follow_free(JournalFollow *f)
{
        if (!f)
                return NULL;
        journal_follow_stop(f);
        sd_event_unref(f->event);
        free(f->unit);
        free(f);
        return NULL;
}
