/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls of org.ssi.Server1, and how their answers are shown. */

#include "ctl.h"

/* A call of a method with n arguments that are strings, and then no options. */
int server_call_strings(Ctl *c, const char *member, size_t n, const char *const *args, sd_bus_message **ret_reply);
int server_new_call(Ctl *c, const char *member, sd_bus_message **ret);
/* Says what failed. A negative exit code. */
int server_bus_error(const sd_bus_error *error, int r);
/* The same for a whole call. */
int server_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret_reply);
/* All properties, as a JSON object. */
int server_get_properties(Ctl *c, json_object **ret);

/* Prints an array of objects: with --json as it is, else as a table with these members as columns. A number below a
 * name that ends in "_usec" is a time, and is shown as how long ago. sentence is for none. */
typedef struct ServerColumn {
        const char *member, *title;
} ServerColumn;
int server_print_table(Ctl *c, json_object *rows_taken, const ServerColumn *columns, size_t n, const char *sentence);
