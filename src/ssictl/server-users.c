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

int server_read_users(Ctl *c, const char *search, json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = server_new_call(c, "ListUsers", &m);
        if (r < 0)
                return r;
        r = search ? sd_bus_message_append(m, "a{sv}", 1, "search", "s", search) : sd_bus_message_append(m, "a{sv}", 0);
        if (r < 0) {
                ctl_say_error("The arguments are not valid UTF-8.");
                return -CTL_EXIT_FAILURE;
        }
        r = server_call(c, m, &reply);
        return r < 0 ? r : server_read_rows(reply, NULL, 0, ret);
}

static bool is(json_object *o, const char *key)
{
        bool value = false;

        return json_get_bool(o, key, &value) >= 0 && value;
}

/* For people, in one word or two. */
static int add_state(json_object *o)
{
        int64_t locked = 0;

        (void) json_get_int64(o, "locked_usec", &locked);
        return json_add_string(o, "state",
                               locked > 0             ? "locked" :
                               !is(o, "confirmed")    ? "not confirmed" :
                               is(o, "administrator") ? "administrator" :
                                                        "");
}

int server_users(Ctl *c, int argc, char *argv[])
{
        static const ServerColumn columns[] = {
                { "email", "EMAIL" },        { "servers", "SERVERS" }, { "state", "STATE" },
                { "created_usec", "SINCE" }, { "seen_usec", "SEEN" },  { "id", "ID" },
        };
        _cleanup_json_ json_object *rows = NULL;
        int r;

        r = server_read_users(c, argc > 0 ? argv[0] : NULL, &rows);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(rows) && !c->json; i++)
                if (add_state(json_object_array_get_idx(rows, i)) < 0)
                        return ctl_print_json(NULL);
        return server_print_table(c, TAKE_PTR(rows), columns, ELEMENTSOF(columns),
                                  argc > 0 ? "No account has such an address." :
                                             "There are no accounts yet. Make one: ssictl server add-user EMAIL");
}

int server_find_user(Ctl *c, const char *user, UserFound *ret)
{
        _cleanup_json_ json_object *rows = NULL;
        int r;

        r = server_read_users(c, NULL, &rows);
        if (r < 0)
                return r;
        *ret = (UserFound){};
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                json_object *o = json_object_array_get_idx(rows, i);

                ret->any = true;
                ret->any_administrator |= is(o, "administrator");
                ret->found |= user && (streq_ptr(json_get_string(o, "id"), user) ||
                                       strcasecmp(strempty(json_get_string(o, "email")), user) == 0);
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
        UserFound u;
        int r;

        if (!isatty(STDIN_FILENO))
                return 0;
        r = server_find_user(c, user, &u);
        if (r < 0 || u.found == wanted)
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

/* ---- Administrators, and locked accounts ---- */

static int act(Ctl *c, const char *member, const char *user, const char *done, const char *rest)
{
        _cleanup_free_ char *sentence = NULL;
        const char *args[] = { user };
        int r;

        r = server_call_strings(c, member, ELEMENTSOF(args), args, NULL);
        if (r < 0)
                return r;
        if (asprintf(&sentence, "%s %s", user, rest) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, done, user, sentence);
}

int server_grant_admin(Ctl *c, int argc, char *argv[])
{
        return act(c, "GrantAdministration", argv[0], "administration-granted",
                   "is an administrator: the dashboard's menu has a page for it.");
}

int server_revoke_admin(Ctl *c, int argc, char *argv[])
{
        return act(c, "RevokeAdministration", argv[0], "administration-revoked", "is no administrator.");
}

int server_lock(Ctl *c, int argc, char *argv[])
{
        return act(c, "LockUser", argv[0], "user-locked",
                   "is locked: sessions have ended, and API tokens are refused. Servers report as before.");
}

int server_unlock(Ctl *c, int argc, char *argv[])
{
        return act(c, "UnlockUser", argv[0], "user-unlocked", "can log in.");
}

int server_reset_password(Ctl *c, int argc, char *argv[])
{
        return act(c, "MailPasswordReset", argv[0], "reset-mailed", "gets a mail with a link for a new password.");
}
