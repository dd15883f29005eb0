/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Converts the current entry of an sd_journal into a RunEntry. Prevents forgery: only fields that journald itself
 * sets identify the sender. */

#include <systemd/sd-journal.h>

#include "shared/journal/run-tracker.h"

/* LogExtraFields= of every generated unit contains this ID, so that one match finds the output of all services. */
#define SSI_MESSAGE_ID_OUTPUT     SD_ID128_MAKE(eb, 0c, 34, 7c, 30, 08, 42, 2c, 98, d2, 8b, e3, d5, c1, 07, b5)
#define SSI_MESSAGE_ID_OUTPUT_STR SD_ID128_MAKE_STR(eb, 0c, 34, 7c, 30, 08, 42, 2c, 98, d2, 8b, e3, d5, c1, 07, b5)

/* Storage for what a RunEntry points to. */
typedef struct JournalEntry {
        RunEntry entry;
        char slug[SLUG_MAX + 1];
        char exit_code[16], result[32];
        char *cursor; /* owned */
} JournalEntry;

/* The current boot ID as journald records it. In a container, sd_id128_get_boot() may return another one:
 * systemd-nspawn mounts the container's own ID over the file in /proc, but a daemon with ProtectProc= has its own
 * /proc, which shows the host's ID. -ENODATA if the journal is empty. */
int journal_boot_id(sd_id128_t *ret);

/* Matches the manager's entries about all units, and the output of all services. */
int journal_match_all(sd_journal *j);
/* The same for one service. */
int journal_match_service(sd_journal *j, const char *slug);
/* The same for any unit. */
int journal_match_unit(sd_journal *j, const char *unit);
/* The same for one run. */
int journal_match_invocation(sd_journal *j, sd_id128_t id);

/* Returns 1 with the entry; 0 if it is not one of ours, or damaged; a negative errno if the journal cannot be read.
 * ret->entry.text is valid until the journal is used again. */
int journal_entry_read(sd_journal *j, JournalEntry *ret);
/* The same, but only for entries of this unit, which may be other than a service's: then ret->slug is empty. */
int journal_entry_read_unit(sd_journal *j, const char *unit, JournalEntry *ret);
void journal_entry_done(JournalEntry *e);
/* Moves *e to *ret; ret->entry.text remains borrowed. */
void journal_entry_move(JournalEntry *e, JournalEntry *ret);
