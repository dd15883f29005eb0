/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server-call.h"
#include "server.h"
#include "text.h"

#define STATUS_WIDTH  8
#define SUBJECT_WIDTH 14

static int append_line(json_object *lines, sd_bus_message *reply)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        const char *subject, *status, *message, *advice;
        int r;

        r = sd_bus_message_read(reply, "(ssss)", &subject, &status, &message, &advice);
        if (r <= 0)
                return r;
        if (!o || json_add_string(o, "check", subject) < 0 || json_add_string(o, "status", status) < 0 ||
            json_add_string(o, "message", message) < 0 ||
            json_add_string(o, "advice", isempty(advice) ? NULL : advice) < 0 || json_object_array_add(lines, o) < 0)
                return -ENOMEM;
        TAKE_PTR(o);
        return 1;
}

static int call(Ctl *c, json_object *lines)
{
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
        r = sd_bus_message_enter_container(reply, 'a', "(ssss)");
        while (r >= 0 && (r = append_line(lines, reply)) > 0)
                ;
        if (r < 0) {
                ctl_say_error("Cannot read the backend's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return 0;
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
        _cleanup_json_ json_object *lines = json_object_new_array();
        bool ok = true;
        int r;

        if (!lines)
                return CTL_EXIT_FAILURE;
        r = call(c, lines);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(lines); i++) {
                json_object *line = json_object_array_get_idx(lines, i);

                ok = ok && streq_ptr(json_get_string(line, "status"), "OK");
                if (!c->json)
                        print_line(c, line);
        }
        r = c->json ? ctl_print_json(TAKE_PTR(lines)) : CTL_EXIT_OK;
        return r == CTL_EXIT_OK && !ok ? CTL_EXIT_NOT_OK : r;
}
