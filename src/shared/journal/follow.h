/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Follows the journal for the runs of installed services, inside an sd-event loop. */

#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#include "shared/journal/run-tracker.h"

typedef struct JournalFollow JournalFollow;

/* Called from the event loop, never from within a journal_follow_ function. A callback may call
 * journal_follow_pause() and journal_follow_stop(), but must not free the object. */
typedef struct JournalFollowOps {
        /* Whether to use entries of this service. Called for nearly every entry: keep it cheap. */
        bool (*is_installed)(const char *slug, void *userdata);

        /* A concluded run. e is borrowed, but its strings may be taken with TAKE_PTR(). A negative errno stops
         * reading: see failed(). */
        int (*event)(RunEvent *e, void *userdata);

        /* The journal no longer contains the cursor to begin after. from: 0 if unknown. Optional. */
        void (*gap)(const char *cursor, uint64_t from, uint64_t to, void *userdata);

        /* Each entry that runs consist of, before it is processed. Optional. */
        void (*entry)(const RunEntry *e, void *userdata);

        /* Everything in the journal so far has been read and reported. Called once per start. Optional. */
        void (*caught_up)(void *userdata);

        /* Reading failed and has stopped. Start again, or give up. */
        void (*failed)(int error, void *userdata);
} JournalFollowOps;

/* Opens this machine's journal. Reading begins with journal_follow_start(). ops must live as long as the object. */
int journal_follow_new(sd_event *event, const JournalFollowOps *ops, void *userdata, JournalFollow **ret);
JournalFollow *journal_follow_free(JournalFollow *f);
DEFINE_CLEANUP(JournalFollow *, journal_follow_free);

/* Before a start: follows only this unit, and no services. is_installed() is not called and may be NULL. Events have
 * no slug. -ENOMEM. */
int journal_follow_set_unit(JournalFollow *f, const char *unit);

/* Starts or restarts reading after the cursor; without a cursor, with entries later than since (usec since the
 * epoch; 0: everything; USEC_INFINITY: only new entries). -EINVAL if the cursor is invalid. */
int journal_follow_start(JournalFollow *f, const char *after_cursor, uint64_t since);
void journal_follow_stop(JournalFollow *f);

/* While paused, reads nothing and reports no events. */
int journal_follow_pause(JournalFollow *f, bool pause);
/* Whether the journal still has this entry. What is rotated away during a long pause is missed without a gap: whoever pauses
 * for long asks, and starts anew after the cursor if not. */
int journal_follow_has(JournalFollow *f, const char *cursor);

/* A run has just ended: its entries are in the journal, or will be in a moment. journald notifies readers of new
 * entries only after 250 ms, so this looks now and a few more times until then, or until an event has been reported. */
int journal_follow_expect(JournalFollow *f);
