/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "shared/journal/follow-internal.h"
#include "shared/time-util.h"

/* How far before the cursor a reader begins, so that the tracker knows what was under way there. */
#define WARM_UP_USEC        (10 * USEC_PER_SEC)
#define WARM_UP_ENTRIES_MAX 50000U

/* What a cursor says about the time of its entry. */
typedef struct Moment {
        sd_id128_t boot_id;
        uint64_t monotonic, realtime; /* 0 when not told */
} Moment;

static uint64_t cursor_number(const char *cursor, const char *field)
{
        const char *p = strstr(cursor, field);

        return p ? strtoull(p + strlen(field), NULL, 16) : 0;
}

/* A damaged entry is of no boot. */
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

/* The journal stands at the entry of the cursor: goes back so that this is entry number muted_left from there. */
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
        /* It stands before the first entry that is wanted, or at it when the limit was met. */
        run_tracker_begin_midway(f->tracker, b, t);
        f->muted_left = n < WARM_UP_ENTRIES_MAX ? n : n - 1;
        return 0;
}

/* 1 when the journal stands at its newest entry, 0 when it has none. */
static int seek_newest(sd_journal *j)
{
        int r;

        r = sd_journal_seek_tail(j);
        return r < 0 ? r : sd_journal_previous(j);
}

/* Whether the entry that the journal stands at came after the moment. */
static int came_after(sd_journal *j, const Moment *m, sd_id128_t newest_boot)
{
        uint64_t monotonic, realtime;
        sd_id128_t boot;
        int r;

        r = get_monotonic(j, &monotonic, &boot);
        if (r >= 0)
                r = sd_journal_get_realtime_usec(j, &realtime);
        /* A damaged entry tells nothing: those before it do. */
        if (r < 0)
                return r == -EBADMSG ? 1 : r;
        if (sd_id128_equal(boot, m->boot_id))
                return monotonic > m->monotonic;
        /* Between other boots there is only the clock, which can have been set. */
        return sd_id128_equal(boot, newest_boot) || realtime > m->realtime;
}

/* From the entry that the journal stands at, back to before the first that came after the moment. */
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

/* Before the first entry that came after the one that the cursor names, which is not there. Looking for it by its number may lead
 * far behind that: after a power cut journald (not of systemd 252) numbers on from the last entry that had reached the disk, so
 * that the numbers of what was lost come again. As many as were lost are gone back. *to becomes the time of that first entry, if
 * there is one. */
static int seek_after_lost(JournalFollow *f, const char *cursor, const Moment *m, uint64_t *to)
{
        sd_id128_t newest_boot;
        uint64_t usec;
        int r;

        /* Every entry shows what happened when, not only the wanted ones. */
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
