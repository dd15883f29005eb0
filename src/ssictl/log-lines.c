/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log-lines.h"
#include "shared/status-line.h"
#include "text.h"

int log_lines_get(Ctl *c, const char *name, unsigned n, bool ask, sd_bus_message **ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, "GetLog");
        if (r < 0)
                return r;
        if (!ask)
                (void) sd_bus_message_set_allow_interactive_authorization(m, false);
        r = sd_bus_message_append(m, "su", name, n);
        if (r < 0)
                return r;
        r = sd_bus_call(c->bus, m, c->call_timeout, error, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(tss)");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reply);
        return 0;
}

int log_lines_next(sd_bus_message *m, LogLine *ret)
{
        return sd_bus_message_read(m, "(tss)", &ret->usec, &ret->invocation_id, &ret->text);
}

json_object *log_line_to_json(const LogLine *l)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        char when[RFC3339_MAX];

        if (!o || json_add_string(o, "time", format_rfc3339(l->usec, when)) < 0 ||
            json_add_string(o, "invocation_id", isempty(l->invocation_id) ? NULL : l->invocation_id) < 0 ||
            json_add_string(o, "text", l->text) < 0)
                return NULL;
        return TAKE_PTR(o);
}

void log_line_print(const LogLine *l)
{
        char when[64];

        /* Print whole lines, even on a terminal: the user asked for the output, so show all of it. */
        printf("%s  ", ctl_local_time(l->usec, when));
        text_put_line(l->text, TEXT_WIDTH_MAX);
}
