/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-owner.h"
#include "log-follow.h"
#include "log-lines.h"

/* Reads more output as the agent gets it. FollowLog authorizes once; ReadLog answers when there is a line. If the
 * agent ends, waits until it is back, and continues after the last line. */

typedef struct Follow {
        Ctl *c;
        const char *name;
        unsigned lines; /* at the beginning */
        char *after;    /* the cursor of the last line, if there is one */
        uint32_t id;
        bool agent_came;
} Follow;

static bool agent_is_gone(const sd_bus_error *error)
{
        return sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                      SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

/* start: whether the bus may start the agent for this call. */
static int begin(Follow *f, bool start, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = sd_bus_message_new_method_call(f->c->bus, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE,
                                           "FollowLog");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, start);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", f->name);
        if (r >= 0)
                r = f->after ? sd_bus_message_append(m, "a{sv}", 1, "after", "s", f->after) :
                               sd_bus_message_append(m, "a{sv}", 1, "lines", "u", f->lines);
        if (r >= 0)
                r = sd_bus_call(f->c->bus, m, f->c->call_timeout, error, &reply);
        return r < 0 ? r : sd_bus_message_read(reply, "u", &f->id);
}

static int print(Follow *f, sd_bus_message *reply)
{
        const char *cursor;
        LogLine l;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(tss)");
        while (r >= 0 && (r = log_lines_next(reply, &l)) > 0) {
                _cleanup_json_ json_object *o = NULL;

                if (!f->c->json)
                        log_line_print(&l);
                else if ((o = log_line_to_json(&l)))
                        puts(json_object_to_json_string_ext(o,
                                                            JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
                else
                        return -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &cursor);
        if (r >= 0)
                r = free_and_strdup(&f->after, cursor);
        fflush(stdout);
        return r;
}

/* Runs until something ends it, and then returns a negative errno. */
static int read_on(Follow *f, sd_bus_error *error)
{
        int r;

        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;

                r = sd_bus_message_new_method_call(f->c->bus, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE,
                                                   "ReadLog");
                if (r >= 0)
                        r = sd_bus_message_set_auto_start(m, false);
                if (r >= 0)
                        r = sd_bus_message_append(m, "u", f->id);
                if (r >= 0)
                        r = ctl_call_patiently(f->c, m, error, &reply);
                if (r >= 0)
                        r = print(f, reply);
        } while (r >= 0);
        return r;
}

static void on_agent(const char *owner, void *userdata)
{
        Follow *f = userdata;

        f->agent_came = owner;
}

static int wait_for_agent(Follow *f)
{
        int r = 0;

        while (r >= 0 && !f->agent_came) {
                r = sd_bus_process(f->c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(f->c->bus, UINT64_MAX);
                if (r == -EINTR)
                        r = 0;
        }
        return MIN(r, 0);
}

static int follow(Follow *f)
{
        bool first = true;

        for (;;) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                int r;

                f->agent_came = false;
                r = begin(f, first, &error);
                if (r >= 0) {
                        if (!first)
                                ctl_say_error("The agent is back.");
                        first = false;
                        r = read_on(f, &error);
                }
                if (first || !agent_is_gone(&error))
                        return ctl_bus_error(&error, r);
                ctl_say_error("The agent stopped; waiting for it to return.");
                r = wait_for_agent(f);
                if (r < 0) {
                        ctl_say_error("Lost the connection to the bus: %s", strerror(-r));
                        return -CTL_EXIT_FAILURE;
                }
        }
}

int log_follow(Ctl *c, const char *name, unsigned n)
{
        _cleanup_(bus_owner_freep) BusOwner *agent = NULL;
        Follow f = { .c = c, .name = name, .lines = n };
        int r;

        r = bus_owner_new(c->bus, AGENT_BUS_NAME, on_agent, &f, &agent);
        if (r < 0) {
                ctl_say_error("Cannot watch the agent: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        r = follow(&f);
        free(f.after);
        return r;
}
