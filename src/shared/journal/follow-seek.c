/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "shared/journal/follow-internal.h"
#include "shared/time-util.h"

/* How far before the cursor a reader begins, so that the tracker knows the runs that were under way there. */
#define WARM_UP_USEC        (10 * USEC_PER_SEC)
#define WARM_UP_ENTRIES_MAX 50000U

/* What a cursor tells about the time of its entry. */
typedef struct Moment {
        sd_id128_t boot_id;
        uint64_t monotonic, realtime; /* 0 if not given */
} Moment;

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

static Moment cursor_moment(const char *cursor)
{
        const char *boot = strstr(cursor, ";b=");
        Moment m = {
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

/* The journal is at the cursor's entry. Goes back until that entry is number muted_left from the new position. */
static int begin_before(JournalFollow *f)
{
        uint64_t at, t = 0;
        sd_id128_t boot, b = SD_ID128_NULL;
        size_t n = 1;
        int r;

        r = get_monotonic(f->journal, &at, &boot);
        if (r < 0)
                return r;
        for (; n < WARM_UP_ENTRIES_MAX; n++) {
                r = sd_journal_previous(f->journal);
                if (r < 0)
                        return r;
                if (r == 0) {
                        r = sd_journal_seek_head(f->journal);
                        if (r < 0)
                                return r;
                        f->muted_left = n;
                        return 0;
                }
                r = get_monotonic(f->journal, &t, &b);
                if (r < 0)
                        return r;
                if (!sd_id128_equal(boot, b) || t + WARM_UP_USEC < at)
                        break;
        }
        /* The position is before the first wanted entry, or at it if the limit was reached. */
        run_tracker_begin_midway(f->tracker, b, t);
        f->muted_left = n < WARM_UP_ENTRIES_MAX ? n : n - 1;
        return 0;
}

/* Returns 1 if the journal is at its newest entry, 0 if it has none. */
static int seek_newest(sd_journal *j)
{
        int r;

        r = sd_journal_seek_tail(j);
        return r < 0 ? r : sd_journal_previous(j);
}

/* Whether the journal's current entry came after the moment. */
static int came_after(sd_journal *j, const Moment *m, sd_id128_t newest_boot)
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

/* Goes back from the current entry to before the first one that came after the moment. */
static int go_back(sd_journal *j, const Moment *m, sd_id128_t newest_boot, uint64_t *to)
{
        int r;

        do {
                r = came_after(j, m, newest_boot);
                if (r <= 0)
                        return r;
                (void) sd_journal_get_realtime_usec(j, to);
                r = sd_journal_previous(j);
        } while (r > 0);
        return r < 0 ? r : sd_journal_seek_head(j);
}

/* Seeks to before the first entry that came after the cursor's entry, which no longer exists. A search by its number
 * may end far too late: after a power cut, journald (but not that of systemd 252) continues numbering from the last
 * entry on disk, so it reuses the numbers of lost entries. So goes back from there, over as many entries as were
 * lost. Sets *to to the time of that first entry, if there is one. */
static int seek_after_lost(JournalFollow *f, const char *cursor, const Moment *m, uint64_t *to)
{
        sd_id128_t newest_boot;
        uint64_t usec;
        int r;

        /* Compare with every entry, not only with the matching ones. */
        sd_journal_flush_matches(f->journal);
        r = seek_newest(f->journal);
        if (r > 0) {
                r = get_monotonic(f->journal, &usec, &newest_boot);
                if (r >= 0)
                        r = sd_journal_seek_cursor(f->journal, cursor);
                if (r >= 0)
                        r = sd_journal_next(f->journal);
                if (r == 0)
                        r = seek_newest(f->journal);
                if (r > 0)
                        r = go_back(f->journal, m, newest_boot, to);
        }
        return r < 0 ? r : journal_follow_add_matches(f);
}

int journal_follow_seek_after(JournalFollow *f, const char *cursor)
{
        uint64_t to = now_usec(CLOCK_REALTIME);
        Moment m;
        int r;

        r = sd_journal_seek_cursor(f->journal, cursor);
        if (r >= 0)
                r = sd_journal_next(f->journal);
        if (r > 0)
                r = sd_journal_test_cursor(f->journal, cursor);
        if (r != 0)
                return r < 0 ? r : begin_before(f);

        m = cursor_moment(cursor);
        r = seek_after_lost(f, cursor, &m, &to);
        if (r < 0)
                return r;
        f->gap_cursor = strdup(cursor);
        if (!f->gap_cursor)
                return -ENOMEM;
        f->gap_from = m.realtime;
        f->gap_to = to;
        run_tracker_begin_midway(f->tracker, SD_ID128_NULL, 0);
        return 0;
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
