/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where commands begin in a Bash script. This is not a parser: it skips comments, quotes, here-documents, arrays, patterns
 * and arithmetic, follows substitutions into them, and ends where it does not understand something. So nearly all that it
 * finds are commands, and some commands are not found. */

#include "shared/util.h"

typedef struct BashWord {
        const char *s; /* as it is written, without quotes and expansions in it; n bytes */
        size_t n;
        unsigned line; /* from 1 */
        bool function; /* a function of this name is defined here; otherwise it is a command */
} BashWord;

typedef void (*bash_scan_visit_t)(const BashWord *word, void *userdata);

void bash_scan(const char *content, size_t n, bash_scan_visit_t visit, void *userdata);
