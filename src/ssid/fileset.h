/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The three files of one service (script, service unit, timer unit), written or removed as a whole.
 *
 * 1. Write the new files beside their places (.NAME.ssi-new) and sync them: if the disk is full, this fails before
 *    anything has changed.
 * 2. Write a record (.SLUG.ssi-txn in the script folder) of what is about to happen, and sync it.
 * 3. Keep each existing file as a hard link (.NAME.ssi-old), and rename the new files into place.
 * 4. The caller does the rest (reload, enable, start).
 * 5. Commit removes the record, then the kept files. Rollback puts the kept files back.
 *
 * A process that is killed at any point leaves the record behind. At the next start, fileset_recover() undoes an
 * unfinished installation and completes an unfinished removal. Undoing needs no space on the disk. */

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

/* Steps 1 to 3. On failure, nothing has changed. Creates missing folders. */
int fileset_install(const char *script_dir, const char *unit_dir, const char *slug,
                    const FilesetContent content[static _FILESET_MAX], Fileset **ret);

/* Step 2 for a removal; nothing is removed yet. On failure, nothing has changed. */
int fileset_begin_removal(const char *script_dir, const char *unit_dir, const char *slug, Fileset **ret);
/* Step 3 for a removal: the files keep existing under their other names. Missing files are not an error. After a
 * failure, the caller rolls back. */
int fileset_put_aside(Fileset *f);

/* Replaces a unit of an installed service atomically. */
int fileset_replace_unit(const char *unit_dir, const char *unit, const char *data, size_t size);

int fileset_commit(Fileset *f);
int fileset_rollback(Fileset *f);

/* Frees only the memory. NULL is allowed. */
Fileset *fileset_free(Fileset *f);
DEFINE_CLEANUP(Fileset *, fileset_free);

/* Completes what a killed process left behind; calls recovered for each service concerned. */
int fileset_recover(const char *script_dir, const char *unit_dir,
                    void (*recovered)(const char *slug, bool removed, void *userdata), void *userdata);
