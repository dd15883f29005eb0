/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "ssictl server …": the verbs of the backend's administration, org.ssi.Server1. */

#include "ctl.h"

/* As verbs: an exit code, or its negative when everything has been said. */
int server_users(Ctl *c, int argc, char *argv[]);
int server_add_user(Ctl *c, int argc, char *argv[]);
int server_remove_user(Ctl *c, int argc, char *argv[]);
int server_passwd(Ctl *c, int argc, char *argv[]);
int server_list(Ctl *c, int argc, char *argv[]);
int server_add_server(Ctl *c, int argc, char *argv[]);
int server_token(Ctl *c, int argc, char *argv[]);
int server_remove_server(Ctl *c, int argc, char *argv[]);
int server_stats(Ctl *c, int argc, char *argv[]);
int server_backup(Ctl *c, int argc, char *argv[]);
int server_restore(Ctl *c, int argc, char *argv[]);
int server_setup(Ctl *c, int argc, char *argv[]);

/* A call of a method with n arguments that are strings, and then no options. */
int server_call_strings(Ctl *c, const char *member, size_t n, const char *const *args, sd_bus_message **ret_reply);
int server_new_call(Ctl *c, const char *member, sd_bus_message **ret);
/* Says what failed. A negative exit code. */
int server_bus_error(const sd_bus_error *error, int r);
/* The same for a whole call. */
int server_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret_reply);
/* All properties, as a JSON object. */
int server_get_properties(Ctl *c, json_object **ret);

/* Makes the account, asking for its password. */
int server_make_user(Ctl *c, const char *email, char **ret_id);

/* Prints an array of objects: with --json as it is, else as a table with these members as columns. A number below a
 * name that ends in "_usec" is a time, and is shown as how long ago. sentence is for none. */
typedef struct ServerColumn {
        const char *member, *title;
} ServerColumn;
int server_print_table(Ctl *c, json_object *rows_taken, const ServerColumn *columns, size_t n, const char *sentence);
