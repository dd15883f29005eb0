/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>
#include <utlist.h>

#include "shared/journal/entry.h"
#include "shared/journal/runs.h"
#include "shared/status-line.h"
#include "shared/time-util.h"

/* How many entries are read at most; this takes a few tenths of a second. */
#define ENTRIES_MAX 65536U

/* Entries read between two looks at the clock. */
#define ENTRIES_PER_LOOK 16U

typedef struct Kept {
        JournalEntry entry;
        char *text;
        struct Kept *prev, *next;
} Kept;

struct JournalRuns {
        sd_journal *journal;
        unsigned n;         /* starts that are sought */
        unsigned n_entries; /* that were read */
        bool all;           /* there is nothing before what was read */
        Kept *kept;         /* oldest first */
        unsigned n_starts;

        /* the stream whose lines are being read */
        sd_id128_t stream_id;
        bool has_status;
};

JournalRuns *journal_runs_free(JournalRuns *r)
{
        Kept *k, *tmp;

        if (!r)
                return NULL;
        DL_FOREACH_SAFE(r->kept, k, tmp) {
                journal_entry_done(&k->entry);
                free(k->text);
                free(k);
        }
        free(r);
        return NULL;
}

/* Takes e; copies its text. */
static int keep(JournalRuns *reader, JournalEntry *e)
{
        Kept *k = calloc(1, sizeof(*k));

        if (!k)
                return -ENOMEM;
        if (e->entry.type == RUN_ENTRY_LINE) {
                k->text = malloc(e->entry.length + 1);
                if (!k->text) {
                        free(k);
                        return -ENOMEM;
                }
                memcpy(k->text, e->entry.text, e->entry.length);
                k->text[e->entry.length] = '\0';
        }
        journal_entry_move(e, &k->entry);
        k->entry.entry.text = k->text;
        DL_PREPEND(reader->kept, k);
        return 0;
}

/* Returns 1 if the line must be kept. */
static int weigh_line(JournalRuns *reader, const RunEntry *e)
{
        StatusLine line = {};
        bool last = false;
        int r;

        if (!sd_id128_equal(reader->stream_id, e->stream_id)) {
                reader->stream_id = e->stream_id;
                reader->has_status = false;
                last = true;
        }
        if (reader->has_status)
                return 0;
        r = status_line_parse(e->text, e->length, e->realtime, &line);
        if (r == -ENOMEM)
                return r;
        if (r >= 0) {
                status_line_done(&line);
                reader->has_status = true;
        }
        return last || reader->has_status;
}

/* Whether the entry is another line of a stream whose status line is known. If a run has printed much, most lines
 * are; checking one field costs a tenth of reading them all. Streams can alternate, so a stream's lines cannot be
 * skipped in one step. */
static bool is_known(JournalRuns *reader)
{
        char match[sizeof("_STREAM_ID=") + SD_ID128_STRING_MAX];
        const void *data;
        size_t n;

        if (!reader->has_status)
                return false;
        snprintf(match, sizeof(match), "_STREAM_ID=" SD_ID128_FORMAT_STR, SD_ID128_FORMAT_VAL(reader->stream_id));
        return sd_journal_get_data(reader->journal, "_STREAM_ID", &data, &n) >= 0 && n == strlen(match) &&
               memcmp(data, match, n) == 0;
}

static int read_entry(JournalRuns *reader)
{
        JournalEntry e = {};
        int r;

        if (is_known(reader))
                return 0;
        r = journal_entry_read(reader->journal, &e);
        if (r <= 0)
                return r;
        if (e.entry.type == RUN_ENTRY_LINE) {
                r = weigh_line(reader, &e.entry);
                if (r > 0)
                        r = keep(reader, &e);
        } else {
                reader->n_starts += e.entry.type == RUN_ENTRY_START;
                r = keep(reader, &e);
        }
        journal_entry_done(&e);
        return r;
}

int journal_runs_new(sd_journal *j, const char *slug, unsigned n, JournalRuns **ret)
{
        _cleanup_(journal_runs_freep) JournalRuns *reader = NULL;
        int r;

        reader = calloc(1, sizeof(*reader));
        if (!reader)
                return -ENOMEM;
        reader->journal = j;
        reader->n = n;
        r = journal_match_service(j, slug);
        if (r >= 0)
                r = sd_journal_seek_tail(j);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reader);
        return 0;
}

int journal_runs_read(JournalRuns *reader, uint64_t usec)
{
        uint64_t begin = now_usec(CLOCK_MONOTONIC);
        int r;

        while (reader->n_entries < ENTRIES_MAX && reader->n_starts < reader->n) {
                if (reader->n_entries % ENTRIES_PER_LOOK == ENTRIES_PER_LOOK - 1 &&
                    now_usec(CLOCK_MONOTONIC) - begin >= usec) {
                        reader->n_entries++;
                        return 0;
                }
                r = sd_journal_previous(reader->journal);
                if (r == 0) {
                        reader->all = true;
                        break;
                }
                if (r > 0)
                        r = read_entry(reader);
                if (r < 0)
                        return r;
                reader->n_entries++;
        }
        return 1;
}

int journal_runs_feed_read(JournalRuns *reader, RunTracker *t)
{
        Kept *k;
        int r;

        if (!reader->all)
                run_tracker_begin_midway(t, SD_ID128_NULL, 0);
        DL_FOREACH(reader->kept, k) {
                r = run_tracker_feed(t, &k->entry.entry);
                if (r < 0)
                        return r;
        }
        return reader->all;
}

int journal_runs_feed(sd_journal *j, const char *slug, unsigned n, RunTracker *t)
{
        _cleanup_(journal_runs_freep) JournalRuns *reader = NULL;
        int r;

        r = journal_runs_new(j, slug, n, &reader);
        if (r >= 0)
                r = journal_runs_read(reader, USEC_INFINITY);
        return r < 0 ? r : journal_runs_feed_read(reader, t);
}
