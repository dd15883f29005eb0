/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the verbs: the connection, the options, output. */

#include <systemd/sd-bus.h>

#include "shared/bus-util.h"
#include "shared/json-util.h"
#include "polkit-agent.h"
#include "shared/util.h"

typedef struct Ctl {
        const char *host;    /* -H */
        const char *machine; /* -M */
        bool ask_password;
        bool color;
        bool json;

        /* Options of single verbs. */
        bool replace, run, no_wait, value, follow;
        unsigned lines; /* UINT_MAX: the verb's default */
        const char *ca_file, *token_file;
        char **properties; /* as given: each may contain several names, separated by commas */
        size_t n_properties;
        const char *user; /* for "server" */
        const char *sign_up, *expires, *pin;
        bool yes;
        bool deep;                                   /* for "server check" */
        const char *since, *until, *account, *event; /* for "server audit" */
        char **labels;
        size_t n_labels;

        uint64_t call_timeout;
        sd_bus *bus; /* opened by ctl_bus() */
        PolkitAgent polkit_agent;
} Ctl;

/* Exit codes, documented in ssictl(1). */
enum {
        CTL_EXIT_OK = 0,
        CTL_EXIT_FAILURE = 1,
        CTL_EXIT_USAGE = 2,
        CTL_EXIT_NOT_OK = 3,     /* status, run, add --run: the result is worse than UPDATE, or an execution error */
        CTL_EXIT_NO_SERVICE = 4, /* no such service */
        CTL_EXIT_DENIED = 5,     /* not authorized */
        CTL_EXIT_TIMED_OUT = 6,  /* no answer, or no end of a run, in time */
};

/* Verbs return an exit code, or a negative errno if the error has been printed. */
int verb_add(Ctl *c, int argc, char *argv[]);
int verb_remove(Ctl *c, int argc, char *argv[]);
int verb_list(Ctl *c, int argc, char *argv[]);
int verb_status(Ctl *c, int argc, char *argv[]);
int verb_enable(Ctl *c, int argc, char *argv[]);
int verb_disable(Ctl *c, int argc, char *argv[]);
int verb_show(Ctl *c, int argc, char *argv[]);
int verb_test(Ctl *c, int argc, char *argv[]);
int verb_history(Ctl *c, int argc, char *argv[]);
int verb_watch(Ctl *c, int argc, char *argv[]);
int verb_cat(Ctl *c, int argc, char *argv[]);
int verb_validate(Ctl *c, int argc, char *argv[]);
int verb_run(Ctl *c, int argc, char *argv[]);
int verb_log(Ctl *c, int argc, char *argv[]);
int verb_register(Ctl *c, int argc, char *argv[]);
int verb_unregister(Ctl *c, int argc, char *argv[]);
int verb_rotate_key(Ctl *c, int argc, char *argv[]);
int verb_uplink(Ctl *c, int argc, char *argv[]);
int verb_server(Ctl *c, int argc, char *argv[]);
void verb_server_help(void);

/* Connects unless connected. On failure, prints the reason and returns a negative errno. */
int ctl_bus(Ctl *c);

/* Calls a method; interactive authorization is allowed unless --no-ask-password. On failure, prints the reason and
 * returns a negative exit code (-CTL_EXIT_…). */
int ctl_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret_reply);
/* The same for a method that polkit protects: also asks for passwords on the terminal. */
int ctl_call_authorized(Ctl *c, sd_bus_message *m, sd_bus_message **ret_reply);
void ctl_open_polkit_agent(Ctl *c);
/* For a method that may take any time: waits for the answer without a time limit, but pings the callee now and then.
 * -ETIMEDOUT if the callee does not answer. On failure, error is always set. Dispatches signals while it waits. */
int ctl_call_patiently(Ctl *c, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret_reply);
int ctl_new_call(Ctl *c, sd_bus_message **ret, const char *name, const char *path, const char *interface,
                 const char *member);

/* Gets the path of a service's object. */
int ctl_get_service(Ctl *c, const char *name, char **ret_path);

/* Creates a call of ValidateScript, AddService or TestScript with the script at path. For ValidateScript, the call
 * is complete. */
int ctl_new_script_call(Ctl *c, const char *path, const char *member, sd_bus_message **ret);

/* Reads a script for a method that takes its content: at most SCRIPT_SIZE_MAX bytes of UTF-8. "-" is standard input. */
int ctl_read_script(const char *path, char **ret_content);
int ctl_read_file(const char *path, size_t max, char **ret_content);

void ctl_say_error(const char *format, ...) _printf_(1, 2);
int ctl_bus_error(const sd_bus_error *error, int r);

/* The escape sequence for a status's color, or "", and the one that ends it. */
const char *ctl_color(const Ctl *c, const char *status);
const char *ctl_color_end(const Ctl *c);
const char *ctl_bold(const Ctl *c);

/* Prints o as JSON and frees it. Returns an exit code; o may be NULL (out of memory). */
int ctl_print_json(json_object *o_taken);

/* Reports that something is done: prints the sentence, or an object with --json. Returns an exit code. */
int ctl_print_done(Ctl *c, const char *action, const char *what, const char *sentence);

/* Before what cannot be undone: asks on the terminal, unless --yes was given. Without a terminal, a script has decided. Returns a
 * negative exit code if the answer is no. */
int ctl_confirm(const Ctl *c, const char *format, ...) _printf_(2, 3);

/* Since the epoch. */
uint64_t ctl_now(void);
/* For durations: clock changes do not affect it. */
uint64_t ctl_monotonic(void);

/* "3min ago", "in 20s", "-" for 0. */
char *ctl_relative_time(uint64_t usec, char buf[static 64]);
char *ctl_local_time(uint64_t usec, char buf[static 64]);
char *ctl_duration(uint64_t usec, char buf[static 64]);
