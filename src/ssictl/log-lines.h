/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A line of a service's output; the strings live as long as the message. */

#include "ctl.h"

typedef struct LogLine {
        uint64_t usec;
        const char *invocation_id, *text;
} LogLine;

/* Requests the last n lines, on the open connection. ask: whether a password may be asked for. On failure, returns a
 * negative errno and sets error. */
int log_lines_get(Ctl *c, const char *name, unsigned n, bool ask, sd_bus_message **ret, sd_bus_error *error);

/* Reads the next line, oldest first. Returns 1, 0 after the last line, or a negative errno. */
int log_lines_next(sd_bus_message *m, LogLine *ret);

/* NULL if out of memory. */
json_object *log_line_to_json(const LogLine *l);
void log_line_print(const LogLine *l);
