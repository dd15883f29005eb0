/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What follow.c and follow-seek.c share: the state of one reader. */

#include "shared/journal/entry.h"
#include "shared/journal/follow.h"

struct JournalFollow {
        sd_event *event;
        const JournalFollowOps *ops;
        void *userdata;
        char *unit;         /* the only one that is followed, or NULL */
        sd_id128_t boot_id; /* the current one, as journald knows it; SD_ID128_NULL until it is needed */

        sd_journal *journal; /* NULL while stopped */
        unsigned n_read;     /* entries since it was opened */
        unsigned entries_per_opening;
        RunTracker *tracker;
        sd_event_source *io, *journal_timer, *work, *grace_timer, *expect_timer;
        uint64_t expect_delay; /* until the next look for what is expected */
        bool paused, caught_up;
        char asked_slug[SLUG_MAX + 1]; /* whose answer of is_installed() is known, in this turn */
        bool asked_answer;
        size_t muted_left; /* entries up to the cursor */

        char *gap_cursor; /* a gap that is yet to be told */
        uint64_t gap_from, gap_to;

        sd_journal *lookup; /* for questions apart from the stream; does not notice new files, so it is short-lived */
        uint64_t lookup_opened;
};

/* What is wanted of the journal. */
int journal_follow_add_matches(JournalFollow *f);

/* follow-seek.c: where reading begins. Each leaves the journal before the first entry that is wanted, tells the
 * tracker, and sets muted_left. */
int journal_follow_seek_after(JournalFollow *f, const char *cursor);
int journal_follow_seek_since(JournalFollow *f, uint64_t since);
