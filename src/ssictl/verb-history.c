/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>

#include "ctl.h"
#include "shared/status-line.h"
#include "text.h"

#define LINES_DEFAULT 20U

/* A result or an execution error (its status is empty). */
typedef struct Event {
        uint64_t usec, duration;
        const char *status, *message, *error, *detail, *invocation_id;
} Event;

/* Reads an event of an a(tssssts), newest first. */
static int next_event(sd_bus_message *m, Event *ret)
{
        return sd_bus_message_read(m, "(tssssts)", &ret->usec, &ret->status, &ret->message, &ret->error, &ret->detail,
                                   &ret->duration, &ret->invocation_id);
}

static int add_text(json_object *o, const char *key, const char *value)
{
        return json_add_string(o, key, isempty(value) ? NULL : value);
}

static int add_event(json_object *array, const Event *e)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        char when[RFC3339_MAX];
        int r;

        if (!o || json_add_string(o, "time", format_rfc3339(e->usec, when)) < 0 ||
            add_text(o, "status", e->status) < 0 || add_text(o, "message", e->message) < 0 ||
            add_text(o, "error", e->error) < 0 || add_text(o, "detail", e->detail) < 0 ||
            add_text(o, "invocation_id", e->invocation_id) < 0)
                return -ENOMEM;
        r = e->duration == USEC_INFINITY ? json_add_string(o, "duration_ms", NULL) :
                                           json_add_int64(o, "duration_ms", (int64_t) (e->duration / USEC_PER_MSEC));
        if (r < 0 || json_object_array_add(array, o) < 0)
                return -ENOMEM;
        TAKE_PTR(o);
        return 0;
}

static int print_json(sd_bus_message *m)
{
        _cleanup_json_ json_object *array = json_object_new_array();
        Event e;
        int r = array ? 0 : -ENOMEM;

        while (r >= 0 && (r = next_event(m, &e)) > 0)
                r = add_event(array, &e);
        return r < 0 ? -CTL_EXIT_FAILURE : ctl_print_json(TAKE_PTR(array));
}

static void print_event(Ctl *c, const Event *e)
{
        const char *state = isempty(e->status) ? "error" : e->status;
        _cleanup_free_ char *text = NULL;
        char when[64], duration[64];
        int indent;

        if (isempty(e->error) || streq(e->error, "success"))
                text = strdup(e->message);
        else if (asprintf(&text, "[%s] %s", e->error, isempty(e->detail) ? e->message : e->detail) < 0)
                text = NULL;
        indent = printf("%s  ", ctl_local_time(e->usec, when));
        printf("%s%-7s%s  %6s  ", ctl_color(c, state), state, ctl_color_end(c), ctl_duration(e->duration, duration));
        indent += 7 + 2 + 6 + 2;
        text_put_line(strempty(text),
                      text_columns() > (unsigned) indent + 20 ? text_columns() - (unsigned) indent : 20);
}

static int print_text(Ctl *c, sd_bus_message *m, const char *name)
{
        bool any = false;
        Event e;
        int r;

        while ((r = next_event(m, &e)) > 0) {
                print_event(c, &e);
                any = true;
        }
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        if (!any && c->lines != 0)
                printf("The journal holds no finished run of %s.\n", name);
        return CTL_EXIT_OK;
}

int verb_history(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *path = NULL;
        unsigned n = c->lines == UINT_MAX ? LINES_DEFAULT : c->lines;
        int r;

        if ((r = ctl_get_service(c, argv[0], &path)) < 0 ||
            (r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, AGENT_SERVICE_INTERFACE, "GetHistory")) < 0)
                return r;
        if (sd_bus_message_append(m, "u", n) < 0)
                return -CTL_EXIT_FAILURE;
        r = ctl_call_authorized(c, m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(tssssts)");
        if (r < 0) {
                ctl_say_error("Cannot read the agent's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return c->json ? print_json(reply) : print_text(c, reply, argv[0]);
}
