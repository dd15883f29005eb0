/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server-call.h"
#include "server.h"
#include "text.h"

#define STATUS_WIDTH  8
#define SUBJECT_WIDTH 14

static int call(Ctl *c, json_object **ret)
{
        static const char *const members[] = { "check", "status", "message", "advice" };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = server_new_call(c, "Check", &m);
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "a{sv}", 1, "deep", "b", (int) c->deep) < 0)
                return -CTL_EXIT_FAILURE;
        ctl_open_polkit_agent(c);
        r = ctl_call_patiently(c, m, &error, &reply);
        if (r < 0)
                return server_bus_error(&error, r);
        return server_read_rows(reply, members, ELEMENTSOF(members), ret);
}

static void print_line(Ctl *c, json_object *line)
{
        const char *status = strempty(json_get_string(line, "status")), *advice = json_get_string(line, "advice");

        fputs(ctl_color(c, status), stdout);
        text_put(status, STATUS_WIDTH);
        printf("%s ", ctl_color_end(c));
        text_put(strempty(json_get_string(line, "check")), SUBJECT_WIDTH);
        putchar(' ');
        text_put(strempty(json_get_string(line, "message")), 0);
        putchar('\n');
        if (!advice)
                return;
        printf("%*s", STATUS_WIDTH + SUBJECT_WIDTH + 2, "");
        text_put(advice, 0);
        putchar('\n');
}

int server_check(Ctl *c, int argc, char *argv[])
{
        _cleanup_json_ json_object *lines = NULL;
        bool ok = true;
        int r;

        r = call(c, &lines);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(lines); i++) {
                json_object *line = json_object_array_get_idx(lines, i);

                if (isempty(json_get_string(line, "advice")) && json_add_string(line, "advice", NULL) < 0)
                        return ctl_print_json(NULL);
                ok = ok && streq_ptr(json_get_string(line, "status"), "OK");
                if (!c->json)
                        print_line(c, line);
        }
        r = c->json ? ctl_print_json(TAKE_PTR(lines)) : CTL_EXIT_OK;
        return r == CTL_EXIT_OK && !ok ? CTL_EXIT_NOT_OK : r;
}
