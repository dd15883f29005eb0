/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/internal.h"

/* Check: also answers when the database is not available. */

static void reply(AdminCall *c, const CheckReport *report)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(c->m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssss)");
        for (size_t i = 0; i < report->n && r >= 0; i++) {
                const CheckLine *line = report->lines + i;

                r = sd_bus_message_append(reply, "(ssss)", line->subject, check_status_to_string(line->status),
                                          line->message, strempty(line->advice));
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                admin_reply_error(c, "Failed", "Cannot report the check: %s", strerror(-r));
}

static void on_checked(const CheckReport *report, void *userdata)
{
        _cleanup_(admin_call_freep) AdminCall *c = userdata;
        Admin *a = c->admin;

        reply(c, report);
        a->check = check_free(a->check);
}

static int read_option(sd_bus_message *m, const char *name, void *userdata)
{
        int deep, r;

        if (!streq(name, "deep"))
                return -ENOENT;
        r = sd_bus_message_read(m, "v", "b", &deep);
        if (r >= 0)
                *(bool *) userdata = deep;
        return r;
}

int admin_method_check(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        CheckOptions options = {};
        Admin *a = userdata;
        AdminCall *c;
        int r;

        r = admin_authorize(a, m, error);
        if (r != 0)
                return r;
        r = bus_read_options(m, read_option, &options.deep, SERVER_ERROR_PREFIX "InvalidOption", error);
        if (r < 0)
                return r;
        if (a->backend->restoring)
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InProgress", "A backup is being restored.");
        if (a->check)
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InProgress", "Another check is under way.");
        options.cert = a->cert_file;
        options.ca = a->ca_file;
        options.first_host_renews = a->cert_file && startswith(a->cert_file, SSI_SERVER_JOIN_DIR "/");
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        r = check_start(a->backend, &options, on_checked, c, &a->check);
        if (r < 0) {
                admin_call_free(c);
                return r;
        }
        return 1;
}
