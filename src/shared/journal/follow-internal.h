/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by follow.c and follow-seek.c: the state of one reader. */

#include "shared/journal/entry.h"
#include "shared/journal/follow.h"

struct JournalFollow {
        sd_event *event;
        const JournalFollowOps *ops;
        void *userdata;
        char *unit;         /* the only unit to follow, or NULL */
        sd_id128_t boot_id; /* the current boot, as journald records it; SD_ID128_NULL until needed */

        sd_journal *journal; /* NULL while stopped */
        unsigned n_read;     /* entries read since it was opened */
        unsigned entries_per_opening;
        RunTracker *tracker;
        sd_event_source *io, *journal_timer, *work, *grace_timer, *expect_timer;
        uint64_t expect_delay; /* until the next look for an expected entry */
        bool paused, caught_up;
        char asked_slug[SLUG_MAX + 1]; /* the service that the answer below is about; cleared each turn */
        bool asked_answer;
        size_t muted_left; /* entries to read up to the cursor */

        char *gap_cursor; /* a gap that is not reported yet */
        uint64_t gap_from, gap_to;

        sd_journal *lookup; /* for separate queries; does not notice new files, so it is kept only briefly */
        uint64_t lookup_opened;
};

/* Adds the matches for the entries to follow. */
int journal_follow_add_matches(JournalFollow *f);

/* follow-seek.c: finds where reading begins. Each function positions the journal before the first wanted entry,
 * informs the tracker, and sets muted_left. */
int journal_follow_seek_after(JournalFollow *f, const char *cursor);
int journal_follow_seek_since(JournalFollow *f, uint64_t since);
