/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A line that a service printed; the strings live as long as the message. */

#include "ctl.h"

typedef struct LogLine {
        uint64_t usec;
        const char *invocation_id, *text;
} LogLine;

/* Asks for the last n lines, on the open connection; without ask, no password is asked for. A negative errno
 * with the error filled in. */
int log_lines_get(Ctl *c, const char *name, unsigned n, bool ask, sd_bus_message **ret, sd_bus_error *error);

/* The next one, oldest first: 1, 0 after the last, or a negative errno. */
int log_lines_next(sd_bus_message *m, LogLine *ret);

/* NULL when out of memory. */
json_object *log_line_to_json(const LogLine *l);
void log_line_print(const LogLine *l);
