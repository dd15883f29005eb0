/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From an sd_journal's current entry to a RunEntry, with the forgery check: only fields that journald itself stamps say
 * whose entry it is. */

#include <systemd/sd-journal.h>

#include "shared/journal/run-tracker.h"

/* Stands in LogExtraFields= of every generated unit, so that one match finds the output of all services. */
#define SSI_MESSAGE_ID_OUTPUT     SD_ID128_MAKE(eb, 0c, 34, 7c, 30, 08, 42, 2c, 98, d2, 8b, e3, d5, c1, 07, b5)
#define SSI_MESSAGE_ID_OUTPUT_STR SD_ID128_MAKE_STR(eb, 0c, 34, 7c, 30, 08, 42, 2c, 98, d2, 8b, e3, d5, c1, 07, b5)

/* Room for what a RunEntry points to. */
typedef struct JournalEntry {
        RunEntry entry;
        char slug[SLUG_MAX + 1];
        char exit_code[16], result[32];
        char *cursor; /* owned */
} JournalEntry;

/* The present boot, under the id that journald stamps. What sd_id128_get_boot() gives can be another in a container:
 * systemd-nspawn mounts the container's own id over the file in /proc, and a daemon that ProtectProc= gives a /proc of its own
 * reads the outer machine's there. -ENODATA when the journal is empty. */
int journal_boot_id(sd_id128_t *ret);

/* Matches what the manager says about all units, and the output of all services. */
int journal_match_all(sd_journal *j);
/* Matches one service's. */
int journal_match_service(sd_journal *j, const char *slug);
/* The same of any unit. */
int journal_match_unit(sd_journal *j, const char *unit);
/* Matches one run's. */
int journal_match_invocation(sd_journal *j, sd_id128_t id);

/* 1 and the entry; 0 when it is not one of ours (or damaged); negative errno when the journal cannot be read.
 * ret->entry.text lives until the journal is used again. */
int journal_entry_read(sd_journal *j, JournalEntry *ret);
/* The same for entries of this unit alone, which need not be a service's: ret->slug is empty then. */
int journal_entry_read_unit(sd_journal *j, const char *unit, JournalEntry *ret);
void journal_entry_done(JournalEntry *e);
/* Moves *e to *ret; ret->entry.text remains borrowed. */
void journal_entry_move(JournalEntry *e, JournalEntry *ret);
