/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The three files of one service (script, service unit, timer unit), written or removed as a whole.
 *
 * 1. The new files are written beside their places (.NAME.ssi-new) and synced: a full disk ends it here, with nothing
 *    changed.
 * 2. A record (.SLUG.ssi-txn in the script folder) says what is about to happen, and is synced.
 * 3. What is in the way is kept as a hard link (.NAME.ssi-old), and the new files are renamed into place.
 * 4. The caller does the rest (reload, enable, start).
 * 5. Commit removes the record, then what was kept. Rollback puts the kept files back.
 *
 * A process that is killed anywhere leaves the record; fileset_recover() at the next start rolls an unfinished
 * installation back, and an unfinished removal forward. Taking back needs no room on the disk. */

#include "shared/util.h"

typedef struct Fileset Fileset;

enum {
        FILESET_SCRIPT,
        FILESET_SERVICE,
        FILESET_TIMER,
        _FILESET_MAX,
};

typedef struct FilesetContent {
        const char *data;
        size_t size;
} FilesetContent;

/* Steps 1 to 3. On failure all is as before. The folders are made when they are not there. */
int fileset_install(const char *script_dir, const char *unit_dir, const char *slug,
                    const FilesetContent content[static _FILESET_MAX], Fileset **ret);

/* Step 2 for a removal, with nothing removed yet. On failure all is as before. */
int fileset_begin_removal(const char *script_dir, const char *unit_dir, const char *slug, Fileset **ret);
/* Step 3 for a removal: the files are kept under their other names. Files that are gone already are not an error. After a
 * failure the caller rolls back. */
int fileset_put_aside(Fileset *f);

/* Replaces the timer of an installed service, at once or not at all. */
int fileset_replace_timer(const char *unit_dir, const char *slug, const char *data, size_t size);

int fileset_commit(Fileset *f);
int fileset_rollback(Fileset *f);

/* Frees the memory only. NULL is fine. */
Fileset *fileset_free(Fileset *f);
DEFINE_CLEANUP(Fileset *, fileset_free);

/* Finishes what a killed process left; recovered is called for each service that was concerned. */
int fileset_recover(const char *script_dir, const char *unit_dir,
                    void (*recovered)(const char *slug, bool removed, void *userdata), void *userdata);
