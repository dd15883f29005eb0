/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "server-call.h"
#include "server.h"

/* What the backend sends where there is no number: no limit, or not known. */
#define NO_NUMBER UINT64_MAX

static int add_number(json_object *o, const char *key, uint64_t v)
{
        return v == NO_NUMBER ? json_add_string(o, key, NULL) : json_add_int64(o, key, (int64_t) v);
}

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

static int add_quota(Ctl *c, json_object *rows, sd_bus_message *reply)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        uint64_t used, limit, burst, reached;
        const char *name;
        int own, r;

        r = sd_bus_message_read(reply, "(stttbt)", &name, &used, &limit, &burst, &own, &reached);
        if (r <= 0)
                return r;
        if (!o)
                return -ENOMEM;
        r = json_add_string(o, "name", name);
        if (r >= 0)
                r = c->json ? add_number(o, "used", used) : add_text(o, name, "used", used, 0);
        if (r >= 0)
                r = c->json ? add_number(o, "limit", limit) : add_text(o, name, "limit", limit, burst);
        if (r >= 0 && !c->json)
                r = json_add_string(o, "per", period_of(name));
        if (r >= 0 && c->json)
                r = add_number(o, "burst", burst > 0 ? burst : NO_NUMBER);
        if (r >= 0)
                r = c->json ? json_add_bool(o, "own", own) : json_add_string(o, "own", own ? "yes" : "no");
        if (r >= 0)
                r = json_add_int64(o, "reached_usec", (int64_t) reached);
        if (r >= 0 && json_object_array_add(rows, TAKE_PTR(o)) < 0)
                r = -ENOMEM;
        return r < 0 ? r : 1;
}

static int show(Ctl *c, const char *user)
{
        static const ServerColumn columns[] = {
                { "name", "QUOTA" }, { "used", "USED" }, { "limit", "LIMIT" },
                { "per", "PER" },    { "own", "OWN" },   { "reached_usec", "REACHED" },
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        const char *args[] = { user };
        int r;

        if (!rows)
                return ctl_print_json(NULL);
        r = server_call_strings(c, "ListQuotas", 1, args, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(stttbt)");
        while (r > 0)
                r = add_quota(c, rows, reply);
        if (r < 0) {
                ctl_say_error("Cannot read the backend's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return server_print_table(c, TAKE_PTR(rows), columns, ELEMENTSOF(columns), "The backend has no quotas.");
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
