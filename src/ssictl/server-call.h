/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls org.ssi.Server1 and prints the answers. */

#include "ctl.h"

/* Calls a method with n string arguments and empty options. */
int server_call_strings(Ctl *c, const char *member, size_t n, const char *const *args, sd_bus_message **ret_reply);
int server_new_call(Ctl *c, const char *member, sd_bus_message **ret);
/* Prints the error. Returns a negative exit code. */
int server_bus_error(const sd_bus_error *error, int r);
/* Sends a call. On failure, prints the error and returns a negative exit code. */
int server_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret_reply);
/* Gets all properties as a JSON object. */
int server_get_properties(Ctl *c, json_object **ret);

/* Reads an array of structs into one of objects. members: the names of the fields, in order; NULL for an array of
 * dictionaries, which have them. Prints the error. */
int server_read_rows(sd_bus_message *reply, const char *const *members, size_t n, json_object **ret);

/* Prints an array of objects: with --json as it is, otherwise as a table with these members as columns. Numbers
 * whose names end in "_usec" are times and are shown relative to now. sentence is printed if there are none. */
typedef struct ServerColumn {
        const char *member, *title;
} ServerColumn;
int server_print_table(Ctl *c, json_object *rows_taken, const ServerColumn *columns, size_t n, const char *sentence);

/* Calls a method that returns an array of structs, and prints that as above. */
typedef struct ServerList {
        const char *method;
        const char *const *members; /* of a row, as for server_read_rows() */
        size_t n_members;
        /* May change a row: -ENOMEM if that fails. NULL: they are printed as they come. */
        int (*adapt)(const Ctl *c, json_object *row);
        const ServerColumn *columns;
        size_t n_columns;
        const char *sentence;
} ServerList;
int server_print_list(Ctl *c, const ServerList *l, size_t n, const char *const *args);
