/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds where commands begin in a Bash script. This is not a parser: it skips comments, quotes, here-documents,
 * arrays, patterns and arithmetic, but enters the substitutions in them, and stops at anything that it does not
 * understand. So nearly everything it finds is a command, but it misses some commands. */

#include "shared/util.h"

typedef struct BashWord {
        const char *s; /* n bytes as written, without quotes and expansions */
        size_t n;
        unsigned line; /* from 1 */
        bool function; /* the word defines a function of this name; otherwise it is a command */
} BashWord;

typedef void (*bash_scan_visit_t)(const BashWord *word, void *userdata);

typedef struct BashScan BashScan;

/* Borrows the n bytes of content. */
int bash_scan_new(const char *content, size_t n, bash_scan_visit_t visit, void *userdata, BashScan **ret);
BashScan *bash_scan_free(BashScan *c);
DEFINE_CLEANUP(BashScan *, bash_scan_free);

/* Reads about n bytes more: a text in quotes, a comment or a here-document is read to its end. Whether that was the last. */
bool bash_scan_read(BashScan *c, size_t n);
