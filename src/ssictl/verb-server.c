/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>

#include "bus-json.h"
#include "server-call.h"
#include "server.h"
#include "text.h"

typedef struct ServerVerb {
        const char *name, *alias;
        int min_args, max_args;
        int (*run)(Ctl *c, int argc, char *argv[]);
        const char *usage, *help;
        bool takes_user, takes_labels, takes_sign_up, takes_expires, takes_yes, takes_pin, takes_deep;
} ServerVerb;

static const ServerVerb server_verbs[] = {
        { "setup", NULL, 0, 1, server_setup, "[EMAIL]", "Make the first account and show the next steps",
          .takes_sign_up = true },
        { "sign-up", NULL, 0, 1, server_sign_up, "[MODE]",
          "Show or set who may make an account: closed, invite or open" },
        { "invite", NULL, 0, 1, server_invite, "[EMAIL]", "Print a link with which somebody can make an account",
          .takes_expires = true },
        { "invitations", NULL, 0, 0, server_invitations, "", "List the invitations that are not used yet" },
        { "withdraw-invitation", NULL, 1, 1, server_withdraw_invitation, "ID", "Withdraw an invitation" },
        { "stats", NULL, 0, 0, server_stats, "", "Show how much the backend holds and does" },
        { "check", NULL, 0, 0, server_check, "", "Check the backend and its database", .takes_deep = true },
        { "instances", NULL, 0, 0, server_instances, "", "List the instances of the backend, on all hosts" },
        { "join-token", NULL, 0, 0, server_join_token, "", "Print the command with which another host joins",
          .takes_expires = true },
        { "join-tokens", NULL, 0, 0, server_join_tokens, "", "List the join tokens that are not used yet" },
        { "withdraw-join-token", NULL, 1, 1, server_withdraw_join_token, "ID", "Withdraw a join token" },
        { "join", NULL, 1, 2, server_join, "URL [TOKEN]", "Put this host into service beside another",
          .takes_pin = true },
        { "leave", NULL, 0, 1, server_leave, "[HOST]", "Take this host, or one that is down, out of service" },
        { "users", NULL, 0, 1, server_users, "[SEARCH]", "List the accounts" },
        { "add-user", NULL, 1, 1, server_add_user, "EMAIL", "Make an account" },
        { "passwd", NULL, 1, 1, server_passwd, "USER", "Change a password and end the user's sessions" },
        { "set-email", NULL, 2, 2, server_set_email, "USER EMAIL", "Change the e-mail address of an account" },
        { "remove-user", NULL, 1, 1, server_remove_user, "USER", "Remove an account with its servers",
          .takes_yes = true },
        { "grant-admin", NULL, 1, 1, server_grant_admin, "USER", "Make an account an administrator" },
        { "revoke-admin", NULL, 1, 1, server_revoke_admin, "USER", "Make an administrator a user" },
        { "lock", NULL, 1, 1, server_lock, "USER", "End an account's sessions, and let nobody log in" },
        { "unlock", NULL, 1, 1, server_unlock, "USER", "Let the account's owner log in again" },
        { "reset-password", NULL, 1, 1, server_reset_password, "USER", "Mail a link for a new password" },
        { "quota", NULL, 1, 32, server_quota, "USER [NAME=VALUE…]", "Show an account's quotas, or change them" },
        { "list", "servers", 0, 0, server_list, "", "List the servers of all users" },
        { "add-server", NULL, 1, 1, server_add_server, "NAME", "Add a server, and print how to register it",
          .takes_user = true, .takes_labels = true },
        { "token", NULL, 1, 1, server_token, "SERVER", "Print again how to register a server" },
        { "remove-server", NULL, 1, 1, server_remove_server, "SERVER", "Remove a server with its history",
          .takes_yes = true },
        { "duplicates", NULL, 0, 0, server_duplicates, "", "List servers whose identity two hosts use" },
        { "keep-host", NULL, 2, 2, server_keep_host, "SERVER accepted|refused",
          "Of the two, keep the accepted or the refused host" },
        { "announce", NULL, 1, 1, server_announce, "TEXT", "Tell all users something, on the dashboard",
          .takes_expires = true },
        { "announcements", NULL, 0, 0, server_announcements, "", "List what is announced" },
        { "withdraw-announcement", NULL, 1, 1, server_withdraw_announcement, "ID", "Withdraw an announcement" },
        { "audit", NULL, 0, 0, server_audit, "", "Show who did what, newest first" },
        { "backup", NULL, 1, 1, server_backup, "FILE", "Write a backup of the database (\"-\" is standard output)" },
        { "restore", NULL, 1, 1, server_restore, "FILE", "Replace the database by a backup (\"-\" is standard input)",
          .takes_yes = true },
};

void verb_server_help(void)
{
        puts("\nCommands:");
        for (size_t i = 0; i < ELEMENTSOF(server_verbs); i++) {
                char left[64];

                snprintf(left, sizeof(left), "%s %s", server_verbs[i].name, server_verbs[i].usage);
                printf("  ");
                text_put(left, 24);
                printf(" %s\n", server_verbs[i].help);
        }
}

static const ServerVerb *find_verb(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(server_verbs); i++)
                if (streq(server_verbs[i].name, name) || streq_ptr(server_verbs[i].alias, name))
                        return server_verbs + i;
        return NULL;
}

int verb_server(Ctl *c, int argc, char *argv[])
{
        const ServerVerb *v = find_verb(argv[0]);
        const char *excess;

        if (!v) {
                ctl_say_error("Unknown command \"server %s\"; see \"ssictl server --help\".", argv[0]);
                return CTL_EXIT_USAGE;
        }
        if (argc - 1 < v->min_args || argc - 1 > v->max_args) {
                ctl_say_error("Usage: ssictl server %s%s%s", v->name, isempty(v->usage) ? "" : " ", v->usage);
                return CTL_EXIT_USAGE;
        }
        excess = c->user && !v->takes_user           ? "--user" :
                 c->n_labels > 0 && !v->takes_labels ? "--label" :
                 c->sign_up && !v->takes_sign_up     ? "--sign-up" :
                 c->expires && !v->takes_expires     ? "--expires" :
                 c->yes && !v->takes_yes             ? "--yes" :
                 c->pin && !v->takes_pin             ? "--pin" :
                 c->token_file && !v->takes_pin      ? "--token-file" :
                 c->deep && !v->takes_deep           ? "--deep" :
                                                       NULL;
        if (excess) {
                ctl_say_error("\"server %s\" does not take %s; see \"ssictl server --help\".", v->name, excess);
                return CTL_EXIT_USAGE;
        }
        if (v->run != server_audit && (c->since || c->until || c->account || c->event || c->lines != UINT_MAX)) {
                ctl_say_error("\"server %s\" does not take %s; see \"ssictl server --help\".", v->name,
                              c->since   ? "--since" :
                              c->until   ? "--until" :
                              c->account ? "--account" :
                              c->event   ? "--event" :
                                           "--lines");
                return CTL_EXIT_USAGE;
        }
        return v->run(c, argc - 1, argv + 1);
}

/* ---- Statistics ---- */

static bool is_size(const char *key)
{
        return endswith(key, "Bytes") != NULL;
}

/* "1.2 GB"; the caller frees it. */
static char *size_text(uint64_t bytes)
{
        static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
        double value = (double) bytes;
        size_t unit = 0;
        char *text;

        if (bytes == UINT64_MAX)
                return strdup("unknown");
        for (; value >= 10000 && unit + 1 < ELEMENTSOF(units); unit++)
                value /= 1000;
        return asprintf(&text, "%.0f %s", value, units[unit]) < 0 ? NULL : text;
}

/* What is not known is null. */
static int to_known(json_object *all)
{
        json_object_object_foreach(all, key, value)
        {
                if (is_size(key) && json_object_get_uint64(value) == UINT64_MAX &&
                    json_object_object_add(all, key, NULL) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int server_stats(Ctl *c, int argc, char *argv[])
{
        _cleanup_json_ json_object *all = NULL, *ready = NULL;
        bool is_ready;
        int r;

        r = server_get_properties(c, &all);
        if (r < 0)
                return r;
        is_ready = json_object_object_get_ex(all, "DatabaseReady", &ready) && json_object_get_boolean(ready);
        ready = NULL;
        if (c->json)
                r = ctl_print_json(to_known(all) < 0 ? NULL : TAKE_PTR(all));
        else {
                json_object_object_foreach(all, key, value)
                {
                        _cleanup_free_ char *text =
                                is_size(key) ? size_text(json_object_get_uint64(value)) : json_to_plain_text(value);

                        printf("%16s: %s\n", key, strempty(text));
                }
        }
        return r < 0 || is_ready ? r : CTL_EXIT_NOT_OK;
}
