/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The settings that a reload takes over. systemd hands over the environment file once, at the start; a reload reads it
 * here. */

#include "shared/util.h"

typedef struct Reloadable {
        int log_level;
        bool access_log;

        bool loaded;
        unsigned from_file; /* which of them the file has named, as bits */
} Reloadable;

/* From the file, else from the environment. Says what is unusable. A file that cannot be read leaves what is there from
 * before, and is a negative errno; one that does not exist is none. */
int reloadable_load(const char *path, Reloadable *s);
