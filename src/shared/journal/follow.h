/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Follows the journal for the runs of installed services, inside an sd-event loop. */

#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#include "shared/journal/run-tracker.h"

typedef struct JournalFollow JournalFollow;

/* Called from the event loop, never from within a journal_follow_ function. A callback may call _pause() and _stop(),
 * but must not free the object. */
typedef struct JournalFollowOps {
        /* Whether entries of this service count. Called for nearly every entry: keep it cheap. */
        bool (*is_installed)(const char *slug, void *userdata);

        /* A concluded run. e is borrowed; its strings may be taken with TAKE_PTR(). Negative errno: as failed(). */
        int (*event)(RunEvent *e, void *userdata);

        /* The cursor to begin after is no longer in the journal. from is 0 when unknown. Optional. */
        void (*gap)(const char *cursor, uint64_t from, uint64_t to, void *userdata);

        /* Each entry that the runs are made of, before it is used. Optional. */
        void (*entry)(const RunEntry *e, void *userdata);

        /* Everything that the journal held has been read and given out. Called once per start. Optional. */
        void (*caught_up)(void *userdata);

        /* Reading failed and has stopped. Start it again, or give up. */
        void (*failed)(int error, void *userdata);
} JournalFollowOps;

/* Opens the journal of this machine. Reading begins with _start(). ops must live as long as the object. */
int journal_follow_new(sd_event *event, const JournalFollowOps *ops, void *userdata, JournalFollow **ret);
JournalFollow *journal_follow_free(JournalFollow *f);
DEFINE_CLEANUP(JournalFollow *, journal_follow_free);

/* Before a start: follows this unit instead of the services, whatever is_installed() says (NULL then). Its events have
 * no slug. -ENOMEM. */
int journal_follow_set_unit(JournalFollow *f, const char *unit);

/* Begins (again): gives what follows the cursor; without one, what is younger than since (usec since the epoch, 0 for
 * all there is, USEC_INFINITY for only what comes from now on). -EINVAL when the cursor is not valid. */
int journal_follow_start(JournalFollow *f, const char *after_cursor, uint64_t since);
void journal_follow_stop(JournalFollow *f);

/* While paused, no event is given out and nothing is read. */
int journal_follow_pause(JournalFollow *f, bool pause);

/* A run has just ended: its entries are in the journal, or will be in a moment. journald tells readers of new entries only
 * 250 ms after they came, so this looks now and a few more times until then, or until an event was given out. */
int journal_follow_expect(JournalFollow *f);
