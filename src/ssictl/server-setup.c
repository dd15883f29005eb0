/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server-call.h"
#include "server.h"
#include "shared/time-util.h"

/* The first start creates a database cluster, which takes a while. */
#define READY_TIMEOUT_USEC (60 * USEC_PER_SEC)
#define READY_LOOK_USEC    (200 * USEC_PER_MSEC)

static int64_t figure(json_object *all, const char *name)
{
        int64_t v = 0;

        (void) json_get_int64(all, name, &v);
        return v;
}

/* Serves requests, and has counted what there is. */
static bool is_ready(json_object *all)
{
        json_object *o = NULL;

        return json_object_object_get_ex(all, "DatabaseReady", &o) && json_object_get_boolean(o) &&
               figure(all, "SchemaVersion") > 0;
}

/* Reading the properties starts the backend if it is enabled. */
static int wait_ready(Ctl *c, json_object **ret)
{
        uint64_t end = now_usec(CLOCK_MONOTONIC) + READY_TIMEOUT_USEC;
        bool said = false;

        for (;;) {
                _cleanup_json_ json_object *all = NULL;
                int r;

                r = server_get_properties(c, &all);
                if (r < 0)
                        return r;
                if (is_ready(all)) {
                        *ret = TAKE_PTR(all);
                        return 0;
                }
                if (now_usec(CLOCK_MONOTONIC) > end) {
                        ctl_say_error("The backend is running, but its database is not ready; see "
                                      "\"journalctl -u ssi-serverd -u ssi-postgres\".");
                        return -CTL_EXIT_FAILURE;
                }
                if (!said)
                        fputs("Waiting for the database …\n", stderr);
                said = true;
                usleep(READY_LOOK_USEC);
        }
}

static int read_email(char **ret)
{
        _cleanup_free_ char *line = NULL;
        size_t n = 0;

        fputs("E-mail address of the first user: ", stderr);
        if (getline(&line, &n, stdin) <= 0)
                return -CTL_EXIT_FAILURE;
        line[strcspn(line, "\r\n")] = '\0';
        *ret = TAKE_PTR(line);
        return 0;
}

static int grant(Ctl *c, const char *user)
{
        const char *args[] = { user };

        return server_call_strings(c, "GrantAdministration", ELEMENTSOF(args), args, NULL);
}

/* It is an administrator. */
static int make_first_user(Ctl *c, const char *email)
{
        _cleanup_free_ char *typed = NULL, *id = NULL;
        int r;

        if (!email && !isatty(STDIN_FILENO)) {
                ctl_say_error("Name the first user: ssictl server setup EMAIL (with the password on standard input)");
                return -CTL_EXIT_USAGE;
        }
        if (!email) {
                r = read_email(&typed);
                if (r < 0)
                        return r;
                email = typed;
        }
        r = server_make_user(c, email, &id);
        return r < 0 ? r : grant(c, id);
}

/* A backend that was set up before there were administrators, or without this command. */
static int make_administrator(Ctl *c, const UserFound *before, const char *email)
{
        if (before->any_administrator)
                return 0;
        if (before->found)
                return grant(c, email);
        fputs("No account is an administrator. To make one: ssictl server grant-admin EMAIL\n", stderr);
        return 0;
}

/* in_force: empty before the setup. Otherwise only what was asked for changes. */
static int set_up_sign_up(Ctl *c, const char *in_force, char **ret)
{
        _cleanup_free_ char *line = NULL;
        const char *mode = c->sign_up;
        int r = 0;

        if (!mode && isempty(in_force))
                mode = isatty(STDIN_FILENO) ? server_ask_sign_up(&line) : "closed";
        if (mode)
                r = server_set_sign_up(c, mode);
        if (r < 0)
                return r;
        *ret = strdup(mode ?: in_force);
        return *ret ? 0 : -CTL_EXIT_FAILURE;
}

int server_setup(Ctl *c, int argc, char *argv[])
{
        _cleanup_json_ json_object *all = NULL;
        _cleanup_free_ char *sentence = NULL, *sign_up = NULL;
        const char *url;
        UserFound before;
        int r;

        r = c->sign_up ? server_check_sign_up(c->sign_up) : 0;
        if (r < 0)
                return r;
        r = wait_ready(c, &all);
        if (r < 0)
                return r;
        /* The property that counts them may be ten seconds old. */
        r = server_find_user(c, argc > 0 ? argv[0] : NULL, &before);
        if (r < 0)
                return r;
        if (before.any && argc > 0 && !before.found)
                fprintf(stderr, "No account was made for %s. To make one: ssictl server add-user %s\n", argv[0],
                        argv[0]);
        r = before.any ? make_administrator(c, &before, argc > 0 ? argv[0] : NULL) :
                         make_first_user(c, argc > 0 ? argv[0] : NULL);
        if (r < 0)
                return r;
        r = set_up_sign_up(c, strempty(json_get_string(all, "SignUp")), &sign_up);
        if (r < 0)
                return r;
        url = json_get_string(all, "URL");
        if (asprintf(
                    &sentence,
                    "%s\nSign-up: %s. Change it: ssictl server sign-up closed|invite|open\nThe dashboard: %s\nAdd this or another host: ssictl server add-server NAME",
                    before.any ? "The backend is set up already." : "The backend is set up.", sign_up,
                    strempty(url)) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, before.any ? "none" : "set-up", url, sentence);
}
