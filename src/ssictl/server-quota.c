/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "server-call.h"
#include "server.h"

/* What the backend sends where there is no number: no limit, or not known. */
#define NO_NUMBER UINT64_MAX

/* The time that a quota is about. */
static const char *period_of(const char *name)
{
        return streq(name, "results")  ? "minute" :
               streq(name, "requests") ? "hour" :
               streq(name, "mails")    ? "day" :
                                         "-";
}

/* For people: bytes with a suffix, a burst behind its rate, "unlimited". */
static int add_text(json_object *o, const char *name, const char *key, uint64_t v, uint64_t burst)
{
        static const char suffixes[] = "\0KMGTPE";
        const char *suffix = suffixes;
        char text[64];

        while (streq(name, "storage") && v != NO_NUMBER && v >= 10 * 1024 && suffix[1]) {
                v /= 1024;
                suffix++;
        }
        if (v == NO_NUMBER)
                snprintf(text, sizeof(text), "%s", streq(key, "limit") ? "unlimited" : "-");
        else if (burst > 0)
                snprintf(text, sizeof(text), "%" PRIu64 ":%" PRIu64, v, burst);
        else
                snprintf(text, sizeof(text), "%" PRIu64 "%.1s", v, suffix);
        return json_add_string(o, key, text);
}

static uint64_t number(json_object *row, const char *key)
{
        int64_t v;

        return json_get_int64(row, key, &v) < 0 ? NO_NUMBER : (uint64_t) v;
}

static int adapt_quota(const Ctl *c, json_object *row)
{
        uint64_t used = number(row, "used"), limit = number(row, "limit"), burst = number(row, "burst");
        const char *name = strempty(json_get_string(row, "name"));
        bool own = false;
        int r;

        if (c->json)
                return burst == 0 ? json_add_string(row, "burst", NULL) : 0;
        (void) json_get_bool(row, "own", &own);
        r = add_text(row, name, "used", used, 0);
        if (r >= 0)
                r = add_text(row, name, "limit", limit, burst);
        if (r >= 0)
                r = json_add_string(row, "per", period_of(name));
        return r < 0 ? r : json_add_string(row, "own", own ? "yes" : "no");
}

static int show(Ctl *c, const char *user)
{
        static const char *const members[] = { "name", "used", "limit", "burst", "own", "reached_usec" };
        static const ServerColumn columns[] = {
                { "name", "QUOTA" }, { "used", "USED" }, { "limit", "LIMIT" },
                { "per", "PER" },    { "own", "OWN" },   { "reached_usec", "REACHED" },
        };
        static const ServerList list = {
                .method = "ListQuotas",
                .members = members,
                .n_members = ELEMENTSOF(members),
                .adapt = adapt_quota,
                .columns = columns,
                .n_columns = ELEMENTSOF(columns),
                .sentence = "The backend has no quotas.",
        };
        const char *args[] = { user };

        return server_print_list(c, &list, 1, args);
}

static int check(const char *assignment)
{
        const char *value = strchr(assignment, '=');

        if (value && value != assignment && value[1] != '\0')
                return 0;
        ctl_say_error(
                "\"%s\" is not NAME=VALUE, for example servers=100, storage=2G, results=6000:60000, mails=unlimited "
                "or mails=default.",
                assignment);
        return -CTL_EXIT_USAGE;
}

static int change(Ctl *c, const char *user, const char *assignment)
{
        const char *value = strchr(assignment, '=');
        _cleanup_free_ char *name = NULL;

        name = strndup(assignment, (size_t) (value - assignment));
        if (!name)
                return -CTL_EXIT_FAILURE;

        const char *args[] = { user, name, value + 1 };

        return server_call_strings(c, "SetQuota", ELEMENTSOF(args), args, NULL);
}

int server_quota(Ctl *c, int argc, char *argv[])
{
        int r;

        for (int i = 1; i < argc; i++) {
                r = check(argv[i]);
                if (r < 0)
                        return r;
        }
        for (int i = 1; i < argc; i++) {
                r = change(c, argv[0], argv[i]);
                if (r < 0 && i > 1)
                        ctl_say_error("What comes before \"%s\" was changed.", argv[i]);
                if (r < 0)
                        return r;
        }
        return argc > 1 ? ctl_print_done(c, "quota-changed", argv[0], "Changed the quotas.") : show(c, argv[0]);
}
