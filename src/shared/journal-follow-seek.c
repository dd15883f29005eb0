#include <time.h>

#include "journal-follow-internal.h"

/* How far before the cursor a reader begins, so that the tracker knows what was under way there. */
#define WARM_UP_USEC (10 * USEC_PER_SEC)
#define WARM_UP_ENTRIES_MAX 50000U

static uint64_t now_realtime(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

/* A cursor tells its entry's time in its field t, in hexadecimal. 0 when not. */
static uint64_t cursor_realtime(const char *cursor)
{
        const char *p = strstr(cursor, ";t=");

        return p ? strtoull(p + 3, NULL, 16) : 0;
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

int journal_follow_seek_after(JournalFollow *f, const char *cursor)
{
        uint64_t to = now_realtime();
        int r, found;

        r = sd_journal_seek_cursor(f->journal, cursor);
        if (r < 0)
                return r;
        found = sd_journal_next(f->journal);
        if (found < 0)
                return found;
        if (found > 0) {
                r = sd_journal_test_cursor(f->journal, cursor);
                if (r < 0)
                        return r;
                if (r > 0)
                        return begin_before(f);
                (void) sd_journal_get_realtime_usec(f->journal, &to);
                r = sd_journal_previous(f->journal);
                if (r < 0)
                        return r;
                if (r == 0) {
                        r = sd_journal_seek_head(f->journal);
                        if (r < 0)
                                return r;
                }
        }
        f->gap_cursor = strdup(cursor);
        if (!f->gap_cursor)
                return -ENOMEM;
        f->gap_from = cursor_realtime(cursor);
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
