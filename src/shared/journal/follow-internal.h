/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by follow.c and follow-seek.c: the state of one reader. */

#include "shared/journal/entry.h"
#include "shared/journal/follow.h"

/* What a cursor tells about the time of its entry. */
typedef struct SeekMoment {
        sd_id128_t boot_id;
        uint64_t monotonic, realtime; /* 0 if not given */
} SeekMoment;

/* The search for the place where reading begins. It goes over as many entries as the cursor makes it, so it is done
 * in slices, too. */
typedef struct FollowSeek {
        enum {
                SEEK_DONE,
                SEEK_WARM_UP, /* back to where the runs began that were under way */
                SEEK_LOST,    /* back to the first entry after one that is gone */
        } phase;

        /* SEEK_WARM_UP: the entry to begin before; how far back, and the entry there */
        uint64_t at, reached_at;
        sd_id128_t boot_id, reached_boot_id;
        size_t n;

        /* SEEK_LOST */
        char *cursor;
        SeekMoment moment; /* of the cursor's entry */
        sd_id128_t newest_boot_id;
        uint64_t to; /* the time of the first entry after it, so far */
} FollowSeek;

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
        FollowSeek seek;
        size_t muted_left; /* entries to read up to the cursor */

        char *gap_cursor; /* a gap that is not reported yet */
        uint64_t gap_from, gap_to;

        sd_journal *lookup; /* for separate queries; does not notice new files, so it is kept only briefly */
        uint64_t lookup_opened;
};

/* Adds the matches for the entries to follow. */
int journal_follow_add_matches(JournalFollow *f);

/* follow-seek.c: finds where reading begins. These two begin to look for it. */
int journal_follow_seek_after(JournalFollow *f, const char *cursor);
int journal_follow_seek_since(JournalFollow *f, uint64_t since);

/* Goes on looking, over at most this many entries. Returns 0 if there is more to do. Otherwise 1: the journal is
 * positioned before the first wanted entry, the tracker informed, and muted_left or the gap set. */
int journal_follow_seek_go_on(JournalFollow *f, unsigned entries);
