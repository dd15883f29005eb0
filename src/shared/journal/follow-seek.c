/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "shared/journal/follow-internal.h"
#include "shared/time-util.h"

/* How far before the cursor a reader begins, so that the tracker knows the runs that were under way there. */
#define WARM_UP_USEC        (10 * USEC_PER_SEC)
#define WARM_UP_ENTRIES_MAX 50000U

static uint64_t cursor_number(const char *cursor, const char *field)
{
        const char *p = strstr(cursor, field);

        return p ? strtoull(p + strlen(field), NULL, 16) : 0;
}

/* A damaged entry belongs to no boot. */
static int get_monotonic(sd_journal *j, uint64_t *ret, sd_id128_t *ret_boot)
{
        int r;

        r = sd_journal_get_monotonic_usec(j, ret, ret_boot);
        if (r != -EBADMSG)
                return r;
        *ret = 0;
        *ret_boot = SD_ID128_NULL;
        return 0;
}

static SeekMoment cursor_moment(const char *cursor)
{
        const char *boot = strstr(cursor, ";b=");
        SeekMoment m = {
                .monotonic = cursor_number(cursor, ";m="),
                .realtime = cursor_number(cursor, ";t="),
        };
        char id[SD_ID128_STRING_MAX];

        if (boot) {
                snprintf(id, sizeof(id), "%s", boot + 3);
                if (sd_id128_from_string(id, &m.boot_id) < 0)
                        m.boot_id = SD_ID128_NULL;
        }
        return m;
}

/* The journal is at the cursor's entry. */
static int begin_before(JournalFollow *f)
{
        FollowSeek *s = &f->seek;
        int r;

        r = get_monotonic(f->journal, &s->at, &s->boot_id);
        if (r < 0)
                return r;
        s->phase = SEEK_WARM_UP;
        s->reached_at = 0;
        s->reached_boot_id = SD_ID128_NULL;
        s->n = 1;
        return 0;
}

/* Goes back until the cursor's entry is number muted_left from the new position. */
static int warm_up(JournalFollow *f, unsigned entries)
{
        FollowSeek *s = &f->seek;
        int r;

        for (; s->n < WARM_UP_ENTRIES_MAX; s->n++) {
                if (entries-- == 0)
                        return 0;
                r = sd_journal_previous(f->journal);
                if (r < 0)
                        return r;
                if (r == 0) {
                        r = sd_journal_seek_head(f->journal);
                        if (r < 0)
                                return r;
                        f->muted_left = s->n;
                        return 1;
                }
                r = get_monotonic(f->journal, &s->reached_at, &s->reached_boot_id);
                if (r < 0)
                        return r;
                if (!sd_id128_equal(s->boot_id, s->reached_boot_id) || s->reached_at + WARM_UP_USEC < s->at)
                        break;
        }
        /* The position is before the first wanted entry, or at it if the limit was reached. */
        run_tracker_begin_midway(f->tracker, s->reached_boot_id, s->reached_at);
        f->muted_left = s->n < WARM_UP_ENTRIES_MAX ? s->n : s->n - 1;
        return 1;
}

/* Returns 1 if the journal is at its newest entry, 0 if it has none. */
static int seek_newest(sd_journal *j)
{
        int r;

        r = sd_journal_seek_tail(j);
        return r < 0 ? r : sd_journal_previous(j);
}

/* Whether the journal's current entry came after the moment. */
static int came_after(sd_journal *j, const SeekMoment *m, sd_id128_t newest_boot)
{
        uint64_t monotonic, realtime;
        sd_id128_t boot;
        int r;

        r = get_monotonic(j, &monotonic, &boot);
        if (r >= 0)
                r = sd_journal_get_realtime_usec(j, &realtime);
        /* A damaged entry tells nothing; earlier entries will. */
        if (r < 0)
                return r == -EBADMSG ? 1 : r;
        if (sd_id128_equal(boot, m->boot_id))
                return monotonic > m->monotonic;
        /* Between two other boots, only the clock can be compared, and it may have been set. */
        return sd_id128_equal(boot, newest_boot) || realtime > m->realtime;
}

/* Looks at the current entry. Returns 0 if it did not come after the lost one, so reading begins after it. */
static int look_back(JournalFollow *f)
{
        int r = came_after(f->journal, &f->seek.moment, f->seek.newest_boot_id);

        if (r > 0)
                (void) sd_journal_get_realtime_usec(f->journal, &f->seek.to);
        return r;
}

static int found_after_lost(JournalFollow *f)
{
        int r;

        r = journal_follow_add_matches(f);
        if (r < 0)
                return r;
        f->gap_cursor = TAKE_PTR(f->seek.cursor);
        f->gap_from = f->seek.moment.realtime;
        f->gap_to = f->seek.to;
        run_tracker_begin_midway(f->tracker, SD_ID128_NULL, 0);
        return 1;
}

/* Goes back to before the first entry that came after the lost one. */
static int go_back(JournalFollow *f, unsigned entries)
{
        int r;

        do {
                if (entries-- == 0)
                        return 0;
                /* Between two slices, the file of the current entry may have been deleted: move before looking. */
                r = sd_journal_previous(f->journal);
                if (r == 0)
                        r = sd_journal_seek_head(f->journal);
                else if (r > 0)
                        r = look_back(f);
        } while (r > 0);
        return r < 0 ? r : found_after_lost(f);
}

/* Seeks to before the first entry that came after the cursor's entry, which no longer exists. A search by its number
 * may end far too late: after a power cut, journald (but not that of systemd 252) continues numbering from the last
 * entry on disk, so it reuses the numbers of lost entries. So goes back from there, over as many entries as were
 * lost, or over all if the cursor is made up. */
static int begin_after_lost(JournalFollow *f, const char *cursor)
{
        FollowSeek *s = &f->seek;
        uint64_t usec;
        int r;

        s->moment = cursor_moment(cursor);
        s->to = now_usec(CLOCK_REALTIME);
        r = free_and_strdup(&s->cursor, cursor);
        if (r < 0)
                return r;
        /* Compare with every entry, not only with the matching ones. */
        sd_journal_flush_matches(f->journal);
        r = seek_newest(f->journal);
        if (r > 0) {
                r = get_monotonic(f->journal, &usec, &s->newest_boot_id);
                if (r >= 0)
                        r = sd_journal_seek_cursor(f->journal, cursor);
                if (r >= 0)
                        r = sd_journal_next(f->journal);
                if (r == 0)
                        r = seek_newest(f->journal);
                if (r > 0)
                        r = look_back(f);
        }
        if (r > 0) {
                s->phase = SEEK_LOST;
                return 0;
        }
        return r < 0 ? r : MIN(found_after_lost(f), 0);
}

int journal_follow_seek_go_on(JournalFollow *f, unsigned entries)
{
        int r = 1;

        if (f->seek.phase == SEEK_WARM_UP)
                r = warm_up(f, entries);
        else if (f->seek.phase == SEEK_LOST)
                r = go_back(f, entries);
        if (r > 0)
                f->seek.phase = SEEK_DONE;
        return r;
}

int journal_follow_seek_after(JournalFollow *f, const char *cursor)
{
        int r;

        r = sd_journal_seek_cursor(f->journal, cursor);
        if (r >= 0)
                r = sd_journal_next(f->journal);
        if (r > 0)
                r = sd_journal_test_cursor(f->journal, cursor);
        if (r < 0)
                return r;
        return r > 0 ? begin_before(f) : begin_after_lost(f, cursor);
}

int journal_follow_seek_since(JournalFollow *f, uint64_t since)
{
        int r;

        if (since == 0)
                return sd_journal_seek_head(f->journal);
        if (since != USEC_INFINITY) {
                run_tracker_begin_midway(f->tracker, SD_ID128_NULL, 0);
                return sd_journal_seek_realtime_usec(f->journal, since);
        }
        r = sd_journal_seek_tail(f->journal);
        if (r < 0)
                return r;
        r = sd_journal_previous(f->journal);
        if (r < 0)
                return r;
        return r > 0 ? begin_before(f) : sd_journal_seek_head(f->journal);
}
