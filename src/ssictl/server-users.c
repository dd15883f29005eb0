/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "secret.h"
#include "server-call.h"
#include "server.h"
#include "shared/email.h"

/* Reads a password twice from the terminal, without echo, or else a line of standard input. Never from an argument,
 * which others can see. */
static int read_password(char **ret)
{
        _cleanup_secret_ char *first = NULL, *second = NULL;
        int r;

        if (!isatty(STDIN_FILENO))
                return secret_read("-", ret);
        r = secret_ask("Password: ", &first);
        if (r >= 0)
                r = secret_ask("Once more: ", &second);
        if (r < 0)
                return r;
        if (!streq(first, second)) {
                ctl_say_error("The passwords do not match.");
                return -CTL_EXIT_FAILURE;
        }
        *ret = TAKE_PTR(first);
        return 0;
}

static const char *const user_members[] = { "id", "email", "created_usec", "servers" };

int server_users(Ctl *c, int argc, char *argv[])
{
        static const ServerColumn columns[] = {
                { "email", "EMAIL" },
                { "servers", "SERVERS" },
                { "created_usec", "SINCE" },
                { "id", "ID" },
        };
        static const ServerList list = {
                .method = "ListUsers",
                .members = user_members,
                .n_members = ELEMENTSOF(user_members),
                .columns = columns,
                .n_columns = ELEMENTSOF(columns),
                .sentence = "There are no accounts yet. Make one: ssictl server add-user EMAIL",
        };

        return server_print_list(c, &list, 0, NULL);
}

int server_read_users(Ctl *c, json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = server_call_strings(c, "ListUsers", 0, NULL, &reply);
        return r < 0 ? r : server_read_rows(reply, user_members, ELEMENTSOF(user_members), ret);
}

int server_find_user(Ctl *c, const char *user, bool *ret_any, bool *ret_found)
{
        _cleanup_json_ json_object *users = NULL;
        int r;

        r = server_read_users(c, &users);
        if (r < 0)
                return r;
        *ret_any = json_object_array_length(users) > 0;
        *ret_found = false;
        for (size_t i = 0; user && i < json_object_array_length(users); i++) {
                json_object *o = json_object_array_get_idx(users, i);

                *ret_found |= streq_ptr(json_get_string(o, "id"), user) ||
                              strcasecmp(strempty(json_get_string(o, "email")), user) == 0;
        }
        return 0;
}

/* Before somebody types a password twice for nothing. The backend judges again. */
static int check_address(const char *email)
{
        if (email_is_acceptable(email))
                return 0;
        ctl_say_error("That is not a valid e-mail address of ASCII characters.");
        return -CTL_EXIT_FAILURE;
}

/* The same, on a terminal only: whether there is such an account. */
static int check_user(Ctl *c, const char *user, bool wanted)
{
        bool any, found;
        int r;

        if (!isatty(STDIN_FILENO))
                return 0;
        r = server_find_user(c, user, &any, &found);
        if (r < 0 || found == wanted)
                return r;
        if (wanted) {
                ctl_say_error("The user does not exist; \"ssictl server users\" lists all users.");
                return -CTL_EXIT_NO_SERVICE;
        }
        ctl_say_error("An account with this address already exists.");
        return -CTL_EXIT_FAILURE;
}

int server_make_user(Ctl *c, const char *email, char **ret_id)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_secret_ char *password = NULL;
        const char *id;
        int r;

        r = check_address(email);
        if (r >= 0)
                r = read_password(&password);
        if (r < 0)
                return r;

        const char *args[] = { email, password };

        r = server_call_strings(c, "AddUser", 2, args, &reply);
        if (r < 0)
                return r;
        if (sd_bus_message_read(reply, "s", &id) < 0 || !(*ret_id = strdup(id)))
                return -CTL_EXIT_FAILURE;
        return 0;
}

int server_add_user(Ctl *c, int argc, char *argv[])
{
        _cleanup_free_ char *id = NULL, *sentence = NULL;
        int r;

        r = check_user(c, argv[0], false);
        if (r >= 0)
                r = server_make_user(c, argv[0], &id);
        if (r < 0)
                return r;
        if (asprintf(&sentence, "Added %s (%s).", argv[0], id) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, "user-added", argv[0], sentence);
}

int server_passwd(Ctl *c, int argc, char *argv[])
{
        _cleanup_secret_ char *password = NULL;
        int r;

        r = check_user(c, argv[0], true);
        if (r >= 0)
                r = read_password(&password);
        if (r < 0)
                return r;

        const char *args[] = { argv[0], password };

        r = server_call_strings(c, "SetPassword", 2, args, NULL);
        if (r < 0)
                return r;
        return ctl_print_done(
                c, "password-changed", argv[0],
                "Changed the password; ended the user's sessions, API tokens and pending links. Channels, browsers and public pages "
                "remain: have the user review them.");
}

int server_set_email(Ctl *c, int argc, char *argv[])
{
        _cleanup_free_ char *sentence = NULL;
        int r;

        r = check_address(argv[1]);
        if (r >= 0)
                r = server_call_strings(c, "SetEmail", 2, (const char *const *) argv, NULL);
        if (r < 0)
                return r;
        if (asprintf(&sentence, "The address of the account is %s now.", argv[1]) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, "email-changed", argv[1], sentence);
}

int server_remove_user(Ctl *c, int argc, char *argv[])
{
        const char *args[] = { argv[0] };
        int r;

        r = ctl_confirm(c, "Remove the account %s, its servers and their history?", argv[0]);
        if (r >= 0)
                r = server_call_strings(c, "RemoveUser", 1, args, NULL);
        if (r < 0)
                return r;
        return ctl_print_done(c, "user-removed", argv[0], "Removed the account, its servers and their history.");
}
