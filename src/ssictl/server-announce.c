/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server-call.h"
#include "server.h"

/* What administrators tell all users. */

int server_announce(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *sentence = NULL;
        uint64_t lifetime = 0, ends;
        const char *id;
        char buf[64];
        int r;

        r = c->expires ? server_parse_lifetime(c->expires, &lifetime) : 0;
        if (r < 0)
                return r;
        r = server_new_call(c, "Announce", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", argv[0]);
        if (r >= 0)
                r = lifetime > 0 ? sd_bus_message_append(m, "a{sv}", 1, "lifetime_usec", "t", lifetime) :
                                   sd_bus_message_append(m, "a{sv}", 0);
        if (r < 0) {
                ctl_say_error("The announcement is not UTF-8 text.");
                return -CTL_EXIT_FAILURE;
        }
        r = server_call(c, m, &reply);
        if (r < 0)
                return r;
        if (sd_bus_message_read(reply, "st", &id, &ends) < 0 ||
            asprintf(
                    &sentence,
                    "All users see it on the dashboard until %s. To withdraw it: ssictl server withdraw-announcement %s",
                    ctl_local_time(ends, buf), id) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, "announced", id, sentence);
}

int server_announcements(Ctl *c, int argc, char *argv[])
{
        static const ServerColumn columns[] = {
                { "text", "TEXT" },
                { "ends_usec", "ENDS" },
                { "id", "ID" },
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        uint64_t created, ends;
        const char *id, *text;
        int r;

        r = server_call_strings(c, "ListAnnouncements", 0, NULL, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sstt)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sstt)", &id, &text, &created, &ends)) > 0) {
                json_object *o = json_object_new_object();

                if (!rows || !o || json_object_array_add(rows, o) < 0 || json_add_string(o, "id", id) < 0 ||
                    json_add_string(o, "text", text) < 0 || json_add_int64(o, "created_usec", (int64_t) created) < 0 ||
                    json_add_int64(o, "ends_usec", (int64_t) ends) < 0)
                        return ctl_print_json(NULL);
        }
        if (r < 0) {
                ctl_say_error("Cannot read the backend's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return server_print_table(c, TAKE_PTR(rows), columns, ELEMENTSOF(columns),
                                  "Nothing is announced. To tell all users something: ssictl server announce TEXT");
}

int server_withdraw_announcement(Ctl *c, int argc, char *argv[])
{
        const char *args[] = { argv[0] };
        int r;

        r = server_call_strings(c, "WithdrawAnnouncement", ELEMENTSOF(args), args, NULL);
        return r < 0 ? r : ctl_print_done(c, "announcement-withdrawn", argv[0], "Withdrew the announcement.");
}
