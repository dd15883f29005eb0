/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server-call.h"
#include "server.h"
#include "shared/status-line.h"
#include "shared/time-span.h"

/* Who may make an account, and invitations. */

static const struct {
        const char *name, *sentence;
} modes[] = {
        { "closed", "Sign-up is closed: nobody can create an account without an invitation of an administrator." },
        { "invite", "Sign-up is by invitation: administrators and all accounts can invite." },
        { "open", "Sign-up is open: everybody who reaches the backend can create an account." },
};

static const char *sentence_of(const char *mode)
{
        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                if (streq(mode, modes[i].name))
                        return modes[i].sentence;
        return NULL;
}

int server_check_sign_up(const char *mode)
{
        if (sentence_of(mode))
                return 0;
        ctl_say_error("Sign-up can be closed, invite or open, not \"%s\".", mode);
        return -CTL_EXIT_USAGE;
}

int server_set_sign_up(Ctl *c, const char *mode)
{
        const char *args[] = { mode };

        return server_call_strings(c, "SetSignUp", 1, args, NULL);
}

const char *server_ask_sign_up(char **line)
{
        size_t n = 0;

        fputs("Who may create an account from now on?\n"
              "  closed  nobody: you add or invite people\n"
              "  invite  whoever is invited by you or by another user\n"
              "  open    everybody who reaches the dashboard\n",
              stderr);
        for (;;) {
                fputs("Sign-up [closed]: ", stderr);
                if (getline(line, &n, stdin) <= 0)
                        return "closed";
                (*line)[strcspn(*line, "\r\n")] = '\0';
                if (isempty(*line))
                        return "closed";
                if (sentence_of(*line))
                        return *line;
                fputs("Type closed, invite or open.\n", stderr);
        }
}

static int show(Ctl *c)
{
        _cleanup_json_ json_object *all = NULL, *o = NULL;
        const char *mode;
        int r;

        r = server_get_properties(c, &all);
        if (r < 0)
                return r;
        mode = strempty(json_get_string(all, "SignUp"));
        if (c->json) {
                o = json_object_new_object();
                if (!o || json_add_string(o, "sign_up", isempty(mode) ? NULL : mode) < 0)
                        return ctl_print_json(NULL);
                return ctl_print_json(TAKE_PTR(o));
        }
        puts(sentence_of(mode) ?:
                                 "The backend is not set up: run \"ssictl server setup\". Until then, only this host can "
                                 "create accounts; or, if SSI_SETUP_CODE is set, whoever has the code, once.");
        return CTL_EXIT_OK;
}

int server_sign_up(Ctl *c, int argc, char *argv[])
{
        int r;

        if (argc == 0)
                return show(c);
        r = server_check_sign_up(argv[0]);
        if (r >= 0)
                r = server_set_sign_up(c, argv[0]);
        return r < 0 ? r : ctl_print_done(c, "sign-up-set", argv[0], sentence_of(argv[0]));
}

/* ---- Invitations ---- */

int server_parse_lifetime(const char *s, uint64_t *ret)
{
        if (parse_time_span(s, ret) >= 0 && *ret >= USEC_PER_SEC)
                return 0;
        ctl_say_error("--expires takes a time span such as 12h, 7d or \"1d 12h\", not \"%s\".", s);
        return -CTL_EXIT_USAGE;
}

static int call_create(Ctl *c, const char *email, uint64_t lifetime, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = server_new_call(c, "CreateInvitation", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", email);
        if (r >= 0)
                r = lifetime > 0 ? sd_bus_message_append(m, "a{sv}", 1, "lifetime_usec", "t", lifetime) :
                                   sd_bus_message_append(m, "a{sv}", 0);
        if (r < 0) {
                ctl_say_error("The e-mail address is not UTF-8 text.");
                return -CTL_EXIT_FAILURE;
        }
        return server_call(c, m, ret);
}

/* What stands for an empty address: with --json null. */
static const char *or_else(const Ctl *c, const char *email, const char *word)
{
        return !isempty(email) ? email : c->json ? NULL : word;
}

static int print_link(Ctl *c, const char *email, sd_bus_message *reply)
{
        _cleanup_json_ json_object *all = NULL, *o = NULL;
        _cleanup_free_ char *link = NULL;
        const char *id, *token;
        char buf[64], when[RFC3339_MAX];
        uint64_t expires;
        int r, mailed;

        if (sd_bus_message_read(reply, "sstb", &id, &token, &expires, &mailed) < 0)
                return -CTL_EXIT_FAILURE;
        r = server_get_properties(c, &all);
        if (r < 0)
                return r;
        if (asprintf(&link, "%s/signup#invitation=%s", strempty(json_get_string(all, "URL")), token) < 0) {
                link = NULL;
                return -CTL_EXIT_FAILURE;
        }
        if (c->json) {
                o = json_object_new_object();
                if (!o || json_add_string(o, "id", id) < 0 ||
                    json_add_string(o, "email", or_else(c, email, NULL)) < 0 ||
                    json_add_string(o, "token", token) < 0 || json_add_string(o, "link", link) < 0 ||
                    json_add_string(o, "expires", format_rfc3339(expires, when)) < 0 ||
                    json_add_bool(o, "mailed", mailed) < 0)
                        return ctl_print_json(NULL);
                return ctl_print_json(TAKE_PTR(o));
        }
        puts(link);
        /* Printed to standard error, so that only the link goes into a pipe. */
        fprintf(stderr, "%s can create an account with this link, once, until %s.\n", isempty(email) ? "Anyone" : email,
                ctl_local_time(expires, buf));
        if (mailed)
                fprintf(stderr, "A mail with a link is on its way, too.\n");
        else if (!isempty(email))
                fprintf(stderr, "No mail was sent, because the backend has no mail server or this address got several "
                                "invitations today: hand over the link yourself.\n");
        return CTL_EXIT_OK;
}

/* With such an invitation, nobody could create an account. */
static int check_new(Ctl *c, const char *email)
{
        UserFound user;
        int r;

        r = server_find_user(c, email, &user);
        if (r < 0 || !user.found)
                return r;
        ctl_say_error("%s has an account already. For a new password: ssictl server passwd %s", email, email);
        return -CTL_EXIT_FAILURE;
}

int server_invite(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *email = argc > 0 ? argv[0] : "";
        uint64_t lifetime = 0;
        int r = 0;

        if (c->expires)
                r = server_parse_lifetime(c->expires, &lifetime);
        if (r >= 0 && !isempty(email))
                r = check_new(c, email);
        if (r >= 0)
                r = call_create(c, email, lifetime, &reply);
        return r < 0 ? r : print_link(c, email, reply);
}

static int adapt_invitation(const Ctl *c, json_object *row)
{
        int r;

        r = json_add_string(row, "email", or_else(c, json_get_string(row, "email"), "anyone"));
        return r < 0 ? r :
                       json_add_string(row, "invited_by",
                                       or_else(c, json_get_string(row, "invited_by"), "an administrator"));
}

int server_invitations(Ctl *c, int argc, char *argv[])
{
        static const char *const members[] = { "id", "email", "invited_by", "created_usec", "expires_usec" };
        static const ServerColumn columns[] = {
                { "email", "EMAIL" },
                { "invited_by", "INVITED BY" },
                { "expires_usec", "EXPIRES" },
                { "id", "ID" },
        };
        static const ServerList list = {
                .method = "ListInvitations",
                .members = members,
                .n_members = ELEMENTSOF(members),
                .adapt = adapt_invitation,
                .columns = columns,
                .n_columns = ELEMENTSOF(columns),
                .sentence = "There are no invitations that can still be used. Make one: ssictl server invite [EMAIL]",
        };

        return server_print_list(c, &list, 0, NULL);
}

int server_withdraw_invitation(Ctl *c, int argc, char *argv[])
{
        const char *args[] = { argv[0] };
        int r;

        r = server_call_strings(c, "RemoveInvitation", 1, args, NULL);
        return r < 0 ? r : ctl_print_done(c, "invitation-withdrawn", argv[0], "Withdrew the invitation.");
}
