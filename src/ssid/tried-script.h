/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file in which a script is while it is tried: in a folder of its own below $RUNTIME_DIRECTORY. */

#include "shared/util.h"

typedef struct TriedScript {
        char *filename;   /* by which the caller knows it */
        char *dir, *path; /* where it is; NULL while it is not */
} TriedScript;

/* id: in the folder's name. Writes the content, executable, to a file named after the slug. */
int tried_script_write(TriedScript *s, const char *id, const char *slug, const char *content);
/* Removes the file and its folder, and frees. */
void tried_script_done(TriedScript *s);

/* Replaces the path in *text (may be NULL) by the file's own name: Bash and the script itself name it by the place where it is tried.
 * -ENOMEM. */
int tried_script_use_own_name(const TriedScript *s, char **text);
