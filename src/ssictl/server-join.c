/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "secret.h"
#include "server-call.h"
#include "server.h"
#include "shared/status-line.h"
#include "shared/time-util.h"

/* A second host of the backend: tokens, joining, leaving, and the list of instances. */

/* It restarts, and connects to a database that may be far away. */
#define SERVING_TIMEOUT_USEC (90 * USEC_PER_SEC)
#define LOOK_USEC            (200 * USEC_PER_MSEC)

/* ---- Tokens ---- */

typedef struct JoinToken {
        const char *id, *token, *address, *pin, *secret;
        uint64_t expires;
        int signs;
} JoinToken;

static int create(Ctl *c, uint64_t lifetime, JoinToken *t, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = server_new_call(c, "CreateJoinToken", &m);
        if (r < 0)
                return r;
        r = lifetime > 0 ? sd_bus_message_append(m, "a{sv}", 1, "lifetime_usec", "t", lifetime) :
                           sd_bus_message_append(m, "a{sv}", 0);
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        r = server_call(c, m, ret);
        if (r < 0)
                return r;
        if (sd_bus_message_read(*ret, "sstssb", &t->id, &t->token, &t->expires, &t->address, &t->pin, &t->signs) < 0)
                return -CTL_EXIT_FAILURE;
        return 0;
}

/* The second part of the token, which the backend never learns. */
static int admit(Ctl *c, JoinToken *t, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = ctl_new_call(c, &m, SERVER_CA_BUS_NAME, SERVER_CA_PATH, SERVER_CA_INTERFACE, "AdmitHost");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "sta{sv}", t->id, t->expires, 0) < 0)
                return -CTL_EXIT_FAILURE;
        r = server_call(c, m, ret);
        if (r < 0)
                return r;
        return sd_bus_message_read(*ret, "s", &t->secret) < 0 ? -CTL_EXIT_FAILURE : 0;
}

static int print_token(Ctl *c, const JoinToken *t)
{
        _cleanup_json_ json_object *o = NULL;
        _cleanup_secret_ char *token = NULL, *line = NULL;
        char buf[64];

        if (asprintf(&token, "%s%s%s", t->token, t->secret ? "." : "", strempty(t->secret)) < 0)
                token = NULL;
        if (!token || asprintf(&line, "ssictl server join --pin=%s %s - <<<%s", t->pin, t->address, token) < 0) {
                line = NULL;
                return -CTL_EXIT_FAILURE;
        }
        if (c->json) {
                o = json_object_new_object();
                if (!o || json_add_string(o, "id", t->id) < 0 || json_add_string(o, "token", token) < 0 ||
                    json_add_string(o, "address", t->address) < 0 || json_add_string(o, "pin", t->pin) < 0 ||
                    json_add_string(o, "expires", format_rfc3339(t->expires, buf)) < 0 ||
                    json_add_string(o, "command", line) < 0)
                        return ctl_print_json(NULL);
                return ctl_print_json(TAKE_PTR(o));
        }
        puts(line);
        /* Printed to standard error, so that only the command goes into a pipe. */
        fprintf(stderr,
                "Run this as root on the host that joins, once, until %s. Whoever has this line gets the backend's "
                "settings, with the password of its database.\n"
                "If that host reaches this one by another name or address, put it in the place of %s.\n",
                ctl_local_time(t->expires, buf), t->address);
        if (!t->secret)
                fprintf(stderr, "This host signs no certificates: give the one that joins its own (SSI_TLS_CERT and "
                                "SSI_TLS_KEY in its serverd.conf).\n");
        return CTL_EXIT_OK;
}

static void withdraw(Ctl *c, const char *id)
{
        const char *args[] = { id };

        (void) server_call_strings(c, "RemoveJoinToken", 1, args, NULL);
}

int server_join_token(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *made = NULL, *admitted = NULL;
        uint64_t lifetime = 0;
        JoinToken t = {};
        int r = 0;

        if (c->expires)
                r = server_parse_lifetime(c->expires, &lifetime);
        if (r >= 0)
                r = create(c, lifetime, &t, &made);
        if (r < 0)
                return r;
        if (t.signs) {
                r = admit(c, &t, &admitted);
                if (r < 0) {
                        withdraw(c, t.id);
                        return r;
                }
        }
        return print_token(c, &t);
}

int server_join_tokens(Ctl *c, int argc, char *argv[])
{
        static const char *const members[] = { "id", "created_usec", "expires_usec" };
        static const ServerColumn columns[] = {
                { "id", "ID" },
                { "created_usec", "MADE" },
                { "expires_usec", "EXPIRES" },
        };
        static const ServerList list = {
                .method = "ListJoinTokens",
                .members = members,
                .n_members = ELEMENTSOF(members),
                .columns = columns,
                .n_columns = ELEMENTSOF(columns),
                .sentence = "There are no join tokens that can still be used. Make one: ssictl server join-token",
        };

        return server_print_list(c, &list, 0, NULL);
}

/* On a host that signs no certificates, the authority knows nothing of the token. */
static int withdraw_from_authority(Ctl *c, const char *id)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = ctl_new_call(c, &m, SERVER_CA_BUS_NAME, SERVER_CA_PATH, SERVER_CA_INTERFACE, "WithdrawHost");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "sa{sv}", id, 0) < 0)
                return -CTL_EXIT_FAILURE;
        ctl_open_polkit_agent(c);
        (void) sd_bus_call(c->bus, m, c->call_timeout, &error, NULL);
        return 0;
}

int server_withdraw_join_token(Ctl *c, int argc, char *argv[])
{
        const char *args[] = { argv[0] };
        int r;

        r = server_call_strings(c, "RemoveJoinToken", 1, args, NULL);
        if (r >= 0)
                r = withdraw_from_authority(c, argv[0]);
        return r < 0 ? r : ctl_print_done(c, "join-token-withdrawn", argv[0], "Withdrew the join token.");
}

/* ---- Joining ---- */

/* While the backend restarts, it does not answer, or knows nothing yet: that is no error. */
static bool is_serving(Ctl *c, const char *address)
{
        _cleanup_free_ char *joined = NULL;
        int ready = false;

        return sd_bus_get_property_string(c->bus, SERVER_BUS_NAME, SERVER_PATH, SERVER_INTERFACE, "Joined", NULL,
                                          &joined) >= 0 &&
               streq(joined, address) &&
               sd_bus_get_property_trivial(c->bus, SERVER_BUS_NAME, SERVER_PATH, SERVER_INTERFACE, "DatabaseReady",
                                           NULL, 'b', &ready) >= 0 &&
               ready;
}

static bool wait_serving(Ctl *c, const char *address)
{
        uint64_t end = now_usec(CLOCK_MONOTONIC) + SERVING_TIMEOUT_USEC;

        fputs("Joined. Waiting until this host serves …\n", stderr);
        while (!is_serving(c, address)) {
                if (now_usec(CLOCK_MONOTONIC) > end)
                        return false;
                usleep(LOOK_USEC);
        }
        return true;
}

/* "https://host:8443/" is the same without the slash. */
static int read_address(const char *arg, char **ret)
{
        size_t n = strlen(arg);

        while (n > 0 && arg[n - 1] == '/')
                n--;
        *ret = memdup_string(arg, n);
        return *ret ? 0 : -CTL_EXIT_FAILURE;
}

static void print_credentials(sd_bus_message *reply)
{
        const char *name;

        if (sd_bus_message_enter_container(reply, 'a', "s") < 0)
                return;
        while (sd_bus_message_read(reply, "s", &name) > 0)
                fprintf(stderr,
                        "The first host has the credential %s, which does not travel: give this host the same "
                        "(systemctl edit ssi-serverd).\n",
                        name);
}

int server_join(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *address = NULL, *sentence = NULL;
        _cleanup_secret_ char *token = NULL;
        int r;

        if (!c->pin) {
                ctl_say_error(
                        "Give the key of the first host with --pin, as printed there by \"ssictl server join-token\".");
                return CTL_EXIT_USAGE;
        }
        r = read_address(argv[0], &address);
        if (r >= 0)
                r = secret_take(c, argc > 1 ? argv[1] : NULL,
                                "There is no token; \"ssictl server join-token\" on the first host makes one.", &token);
        if (r >= 0)
                r = server_new_call(c, "Join", &m);
        if (r < 0)
                return r;
        (void) sd_bus_message_sensitive(m);
        if (sd_bus_message_append(m, "sssa{sv}", address, token, c->pin, 0) < 0) {
                ctl_say_error("The arguments are not valid UTF-8.");
                return -CTL_EXIT_FAILURE;
        }
        r = server_call(c, m, &reply);
        if (r < 0)
                return r;
        if (!c->json)
                print_credentials(reply);
        if (!wait_serving(c, address)) {
                ctl_say_error("This host has joined, but does not serve yet; see \"journalctl -u ssi-serverd\".");
                return -CTL_EXIT_TIMED_OUT;
        }
        if (asprintf(&sentence,
                     "This host serves, together with %s. Let the load balancer use it.\n"
                     "Its private database is not needed any more: systemctl stop ssi-postgres",
                     address) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, "joined", address, sentence);
}

int server_leave(Ctl *c, int argc, char *argv[])
{
        const char *args[] = { argc > 0 ? argv[0] : NULL };
        int r;

        r = server_call_strings(c, argc > 0 ? "RemoveHost" : "Leave", (size_t) argc, args, NULL);
        if (r < 0)
                return r;
        if (argc > 0)
                return ctl_print_done(
                        c, "host-removed", argv[0],
                        "Removed the host. If others may have its files, change the database's password.");
        return ctl_print_done(c, "left", NULL,
                              "This host has left and serves nothing. To stop it for good: systemctl disable --now "
                              "ssi-serverd.socket ssi-serverd.service");
}

/* ---- Instances ---- */

static int adapt_instance(const Ctl *c, json_object *row)
{
        bool none = isempty(json_get_string(row, "id")), alive = false;
        int r;

        (void) json_get_bool(row, "alive", &alive);
        json_object_object_del(row, "alive");
        r = none ? json_add_string(row, "id", NULL) : 0;
        return r < 0 ? r : json_add_string(row, "state", alive ? "alive" : none ? "down" : "silent");
}

int server_instances(Ctl *c, int argc, char *argv[])
{
        static const char *const members[] = { "id",        "hostname",    "version", "started_usec",
                                               "seen_usec", "joined_usec", "host",    "alive" };
        static const ServerColumn columns[] = {
                { "hostname", "HOST" },        { "state", "STATE" },    { "version", "VERSION" },
                { "started_usec", "STARTED" }, { "seen_usec", "SEEN" }, { "joined_usec", "JOINED" },
                { "host", "HOST ID" },
        };
        static const ServerList list = {
                .method = "ListInstances",
                .members = members,
                .n_members = ELEMENTSOF(members),
                .adapt = adapt_instance,
                .columns = columns,
                .n_columns = ELEMENTSOF(columns),
                .sentence = "There are no instances.",
        };

        return server_print_list(c, &list, 0, NULL);
}
