/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs PostgreSQL's own programs as children of this process. The connection settings are passed in their
 * environment, which only their user and root can read, never in their arguments. */

#include <sys/types.h>

#include "shared/util.h"

/* Starts name (pg_dump, pg_restore, psql) of the newest version installed. The descriptors become standard
 * input, output and error; a negative one is /dev/null. conninfo as for libpq; NULL if the program needs no
 * database. -ENOENT if the program is not installed. Needs SIGCHLD blocked, as sd_event_add_child() does. */
int pg_program_start(const char *name, const char *const *args, const char *conninfo, int in, int out, int err,
                     pid_t *ret);
