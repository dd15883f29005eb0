/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server-call.h"
#include "server.h"
#include "shared/status-line.h"

/* In the table, one column; in JSON, two members. */
static int adapt_agent(const Ctl *c, json_object *row)
{
        const char *version = strempty(json_get_string(row, "agent_version"));
        _cleanup_free_ char *text = NULL;
        bool outdated = false;

        if (c->json)
                return isempty(version) ? json_add_string(row, "agent_version", NULL) : 0;
        (void) json_get_bool(row, "agent_outdated", &outdated);
        if (asprintf(&text, "%s%s", version, outdated ? " (outdated)" : "") < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return json_add_string(row, "agent", text);
}

int server_list(Ctl *c, int argc, char *argv[])
{
        static const char *const members[] = { "id",       "name",   "user",          "state",         "last_seen_usec",
                                               "services", "labels", "agent_version", "agent_outdated" };
        static const ServerColumn columns[] = {
                { "name", "NAME" }, { "state", "STATE" }, { "last_seen_usec", "SEEN" }, { "services", "SERVICES" },
                { "user", "USER" }, { "agent", "AGENT" }, { "labels", "LABELS" },       { "id", "ID" },
        };
        static const ServerList list = {
                .method = "ListServers",
                .members = members,
                .n_members = ELEMENTSOF(members),
                .adapt = adapt_agent,
                .columns = columns,
                .n_columns = ELEMENTSOF(columns),
                .sentence = "There are no servers yet. Add one: ssictl server add-server NAME",
        };

        return server_print_list(c, &list, 0, NULL);
}

/* Finds the account of --user, or without it the only account. */
static int find_user(Ctl *c, char **ret)
{
        _cleanup_json_ json_object *users = NULL;
        const char *email = c->user;
        size_t n;
        int r;

        if (!email) {
                r = server_read_users(c, NULL, &users);
                if (r < 0)
                        return r;
                n = json_object_array_length(users);
                if (n != 1) {
                        ctl_say_error(
                                n == 0 ?
                                        "No account exists yet to own the server; add one: ssictl server add-user EMAIL" :
                                        "Several accounts exist; name the server's owner with --user=EMAIL.");
                        return -CTL_EXIT_USAGE;
                }
                email = strempty(json_get_string(json_object_array_get_idx(users, 0), "email"));
        }
        *ret = strdup(email);
        return *ret ? 0 : -CTL_EXIT_FAILURE;
}

static const char *property(json_object *all, const char *name)
{
        return strempty(json_get_string(all, name));
}

/* Prints the command that registers the host: the shell passes the token on without showing it to others. */
static int print_registration(Ctl *c, const char *server, const char *token, uint64_t expires)
{
        _cleanup_json_ json_object *all = NULL, *o = NULL;
        _cleanup_free_ char *line = NULL;
        char buf[64], when[RFC3339_MAX];
        bool own_ca;
        int r;

        r = server_get_properties(c, &all);
        if (r < 0)
                return r;
        own_ca = !isempty(property(all, "CAFile"));
        if (asprintf(&line, "ssictl register %s%s - <<<%s", own_ca ? "--ca=ca.pem " : "", property(all, "URL"), token) <
            0) {
                line = NULL;
                return -CTL_EXIT_FAILURE;
        }
        if (c->json) {
                o = json_object_new_object();
                if (!o || json_add_string(o, "server", server) < 0 || json_add_string(o, "claim_token", token) < 0 ||
                    json_add_string(o, "command", line) < 0 ||
                    json_add_string(o, "expires", format_rfc3339(expires, when)) < 0)
                        return ctl_print_json(NULL);
                return ctl_print_json(TAKE_PTR(o));
        }
        puts(line);
        /* Printed to standard error, so that only the command goes into a pipe. */
        fprintf(stderr, "Run this on the host, until %s.\n", ctl_local_time(expires, buf));
        if (own_ca)
                fprintf(stderr, "The backend has its own certificate authority: first copy %s there as ca.pem.\n",
                        property(all, "CAFile"));
        return CTL_EXIT_OK;
}

static int append_labels(const Ctl *c, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && c->n_labels > 0) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", "labels");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'v', "as");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'a', "s");
                for (size_t i = 0; i < c->n_labels && r >= 0; i++)
                        r = sd_bus_message_append(m, "s", c->labels[i]);
                for (int i = 0; i < 3 && r >= 0; i++)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int server_add_server(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *user = NULL;
        const char *server, *token;
        uint64_t expires;
        int r;

        r = find_user(c, &user);
        if (r < 0)
                return r;
        r = server_new_call(c, "AddServer", &m);
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "ss", argv[0], user) < 0 || append_labels(c, m) < 0) {
                ctl_say_error("The name, the user or a label is not UTF-8 text.");
                return -CTL_EXIT_FAILURE;
        }
        r = server_call(c, m, &reply);
        if (r < 0)
                return r;
        if (sd_bus_message_read(reply, "sst", &server, &token, &expires) < 0)
                return -CTL_EXIT_FAILURE;
        return print_registration(c, server, token, expires);
}

int server_token(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *args[] = { argv[0] }, *token;
        uint64_t expires;
        int r;

        r = server_call_strings(c, "CreateClaimToken", 1, args, &reply);
        if (r < 0)
                return r;
        if (sd_bus_message_read(reply, "st", &token, &expires) < 0)
                return -CTL_EXIT_FAILURE;
        return print_registration(c, argv[0], token, expires);
}

int server_remove_server(Ctl *c, int argc, char *argv[])
{
        const char *args[] = { argv[0] };
        int r;

        r = ctl_confirm(c, "Remove the server %s and its history?", argv[0]);
        if (r >= 0)
                r = server_call_strings(c, "RemoveServer", 1, args, NULL);
        if (r < 0)
                return r;
        return ctl_print_done(c, "server-removed", argv[0], "Removed the server and its history.");
}

/* ---- Two hosts with one identity ---- */

int server_duplicates(Ctl *c, int argc, char *argv[])
{
        static const char *const members[] = { "id", "name", "user", "since_usec", "accepted", "refused" };
        static const ServerColumn columns[] = {
                { "name", "NAME" },       { "since_usec", "SINCE" }, { "accepted", "ACCEPTED" },
                { "refused", "REFUSED" }, { "user", "USER" },        { "id", "ID" },
        };
        static const ServerList list = {
                .method = "ListDuplicates",
                .members = members,
                .n_members = ELEMENTSOF(members),
                .columns = columns,
                .n_columns = ELEMENTSOF(columns),
                .sentence = "No two hosts use one identity.",
        };

        return server_print_list(c, &list, 0, NULL);
}

int server_keep_host(Ctl *c, int argc, char *argv[])
{
        const char *args[] = { argv[0], argv[1] };
        int r;

        if (!streq(argv[1], "accepted") && !streq(argv[1], "refused")) {
                ctl_say_error("Keep the host that is accepted or the one that is refused, not \"%s\".", argv[1]);
                return -CTL_EXIT_USAGE;
        }
        r = server_call_strings(c, "KeepHost", ELEMENTSOF(args), args, NULL);
        return r < 0 ? r :
                       ctl_print_done(c, "host-kept", argv[0],
                                      "Kept this host. The other one is refused until it is registered anew.");
}
