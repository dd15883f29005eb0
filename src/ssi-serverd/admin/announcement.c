/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/announcement.sql.h"
#include "admin/internal.h"
#include "model/announcement.h"

/* What administrators tell all users. */

static uint64_t number(PGresult *res, int row, int column)
{
        return strtoull(PQgetvalue(res, row, column), NULL, 10);
}

static int append_announcement(sd_bus_message *reply, PGresult *res, int row)
{
        return sd_bus_message_append(reply, "(sstt)", PQgetvalue(res, row, 0), PQgetvalue(res, row, 1),
                                     number(res, row, 2), number(res, row, 3));
}

static void list_done(AdminCall *c, PGresult *res, int error)
{
        admin_reply_list(c, res, error, "(sstt)", append_announcement, "announcements");
}

int admin_method_list_announcements(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_list(userdata, m, error, SQL(admin_list_announcements), list_done);
}

static int read_lifetime(sd_bus_message *m, const char *name, void *userdata)
{
        uint64_t *ret = userdata;

        return streq(name, "lifetime_usec") ? sd_bus_message_read(m, "v", "t", ret) : -ENOENT;
}

static void announced(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_error(c, "TooMany", "There can be at most %d announcements; withdraw one first.",
                                  ANNOUNCEMENTS_MAX);
        else
                admin_reply(c, "st", PQgetvalue(res, 0, 0), number(res, 0, 2));
}

int admin_method_announce(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t lifetime = ANNOUNCEMENT_LIFETIME * USEC_PER_SEC;
        Admin *a = userdata;
        const char *text;
        AdminCall *c;
        int r;

        r = admin_method_begin(a, m, error, "s", &text);
        if (r != 0)
                return r;
        r = bus_read_options(m, read_lifetime, &lifetime, SERVER_ERROR_PREFIX "InvalidOption", error);
        if (r < 0)
                return r;
        if (!announcement_is_valid(text))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "An announcement is one line of at most %d bytes.", ANNOUNCEMENT_MAX);
        if (lifetime < USEC_PER_SEC || lifetime > ANNOUNCEMENT_LIFETIME_MAX * USEC_PER_SEC)
                return sd_bus_error_setf(error, SERVER_ERROR_PREFIX "InvalidOption",
                                         "An announcement can last for %d days at most.",
                                         ANNOUNCEMENT_LIFETIME_MAX / 86400);
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        admin_act_begin(c, announced);
        admin_act_begun(c, announcement_add(a->backend, text, (unsigned) (lifetime / USEC_PER_SEC), c->actor,
                                            admin_act_done, c));
        return 1;
}

static void withdrawn(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_error(c, "NoSuchAnnouncement",
                                  "There is no such announcement; \"ssictl server announcements\" lists all.");
        else
                admin_reply(c, "");
}

int admin_method_withdraw_announcement(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, announcement_remove, withdrawn);
}
