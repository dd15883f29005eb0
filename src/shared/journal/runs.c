/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "shared/journal/entry.h"
#include "shared/journal/runs.h"
#include "shared/status-line.h"

/* How many entries are read at most; this takes a few tenths of a second. */
#define ENTRIES_MAX 65536U

typedef struct Kept {
        JournalEntry entry;
        char *text;
        struct Kept *prev, *next;
} Kept;

typedef struct Reader {
        sd_journal *journal;
        Kept *kept; /* oldest first */
        unsigned n_starts;

        /* the stream whose lines are being read */
        sd_id128_t stream_id;
        bool has_status;
} Reader;

static void reader_done(Reader *r)
{
        Kept *k, *tmp;

        DL_FOREACH_SAFE(r->kept, k, tmp) {
                journal_entry_done(&k->entry);
                free(k->text);
                free(k);
        }
        r->kept = NULL;
}

/* Takes e; copies its text. */
static int keep(Reader *reader, JournalEntry *e)
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
static int weigh_line(Reader *reader, const RunEntry *e)
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
static bool is_known(Reader *reader)
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

static int read_entry(Reader *reader)
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

/* Returns 1 at the journal's beginning. */
static int read_back(Reader *reader, unsigned n)
{
        int r;

        r = sd_journal_seek_tail(reader->journal);
        for (unsigned i = 0; r >= 0 && i < ENTRIES_MAX && reader->n_starts < n; i++) {
                r = sd_journal_previous(reader->journal);
                if (r == 0)
                        return 1;
                if (r > 0)
                        r = read_entry(reader);
        }
        return MIN(r, 0);
}

int journal_runs_feed(sd_journal *j, const char *slug, unsigned n, RunTracker *t)
{
        _cleanup_(reader_done) Reader reader = { .journal = j };
        Kept *k;
        int r, all;

        r = journal_match_service(j, slug);
        if (r < 0)
                return r;
        all = read_back(&reader, n);
        if (all < 0)
                return all;
        if (!all)
                run_tracker_begin_midway(t, SD_ID128_NULL, 0);
        DL_FOREACH(reader.kept, k) {
                r = run_tracker_feed(t, &k->entry.entry);
                if (r < 0)
                        return r;
        }
        return all;
}
