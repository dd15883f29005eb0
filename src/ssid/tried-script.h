/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The temporary file that holds a script during `ssictl test`. It has its own folder below $RUNTIME_DIRECTORY. */

#include "shared/util.h"

typedef struct TriedScript {
        char *filename;   /* the caller's name for it */
        char *dir, *path; /* NULL before it is written */
} TriedScript;

/* id: part of the folder's name. Writes the content to an executable file named after the slug. */
int tried_script_write(TriedScript *s, const char *id, const char *slug, const char *content);
/* Removes the file and its folder, and frees the members. */
void tried_script_done(TriedScript *s);

/* Replaces the temporary path in *text (may be NULL) with the caller's name for the file: Bash and the script itself
 * use the temporary path. -ENOMEM. */
int tried_script_use_own_name(const TriedScript *s, char **text);
