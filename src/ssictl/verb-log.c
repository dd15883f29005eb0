/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>

#include "log-follow.h"
#include "log-lines.h"

#define LINES_DEFAULT 20U

static int add_line(json_object *array, const LogLine *l)
{
        json_object *o = log_line_to_json(l);

        if (o && json_object_array_add(array, o) >= 0)
                return 0;
        json_object_put(o);
        return -ENOMEM;
}

static int print_json(sd_bus_message *m)
{
        _cleanup_json_ json_object *array = json_object_new_array();
        LogLine l;
        int r = array ? 0 : -ENOMEM;

        while (r >= 0 && (r = log_lines_next(m, &l)) > 0)
                r = add_line(array, &l);
        return r < 0 ? -CTL_EXIT_FAILURE : ctl_print_json(TAKE_PTR(array));
}

static int print_text(const Ctl *c, sd_bus_message *m, const char *name)
{
        bool any = false;
        LogLine l;
        int r;

        while ((r = log_lines_next(m, &l)) > 0) {
                log_line_print(&l);
                any = true;
        }
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        if (!any && c->lines != 0)
                printf("%s has not printed anything yet.\n", name);
        return CTL_EXIT_OK;
}

int verb_log(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        unsigned n = c->lines == UINT_MAX ? LINES_DEFAULT : c->lines;
        int r;

        r = ctl_bus(c);
        if (r < 0)
                return r;
        ctl_open_polkit_agent(c);
        if (c->follow)
                return log_follow(c, argv[0], n);
        r = log_lines_get(c, argv[0], n, true, &reply, &error);
        if (r < 0)
                return ctl_bus_error(&error, r);
        return c->json ? print_json(reply) : print_text(c, reply, argv[0]);
}
