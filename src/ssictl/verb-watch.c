/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "shared/bus-owner.h"
#include "service-info.h"
#include "shared/status-line.h"
#include "text.h"

/* Shows results as the agent reports them, as long as there is a bus. If the agent ends, waits until it is back.
 * Execution errors are not statuses, so no signal reports them: when a run has ended, the agent is queried. */

typedef struct Watch {
        Ctl *c;
        char **paths; /* of the requested services; NULL: all */
        size_t n_paths;
        BusOwner *agent; /* checks that signals come from the agent */
        bool agent_went;
} Watch;

typedef struct Report {
        uint64_t usec;
        const char *name, *status, *message, *error, *detail;
} Report;

static bool is_watched(const Watch *w, const char *name)
{
        _cleanup_free_ char *path = NULL;

        if (w->n_paths == 0)
                return true;
        if (sd_bus_path_encode(AGENT_SERVICE_PATH, name, &path) < 0)
                return false;
        for (size_t i = 0; i < w->n_paths; i++)
                if (streq(path, w->paths[i]))
                        return true;
        return false;
}

static int print_json(const Report *p)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        char when[RFC3339_MAX];

        if (!o || json_add_string(o, "time", format_rfc3339(p->usec, when)) < 0 ||
            json_add_string(o, "name", p->name) < 0 || json_add_string(o, "status", p->status) < 0 ||
            json_add_string(o, "message", p->message) < 0 || json_add_string(o, "error", p->error) < 0 ||
            json_add_string(o, "detail", p->detail) < 0)
                return -ENOMEM;
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        return 0;
}

static void print_text(const Ctl *c, const Report *p)
{
        const char *state = p->error ? "error" : p->status;
        time_t t = (time_t) (p->usec / USEC_PER_SEC);
        _cleanup_free_ char *text = NULL;
        unsigned columns = text_columns();
        char when[32];
        struct tm tm;

        localtime_r(&t, &tm);
        strftime(when, sizeof(when), "%H:%M:%S", &tm);
        if (p->error && asprintf(&text, "[%s] %s", p->error, strempty(p->detail)) < 0)
                text = NULL;
        printf("%s  ", when);
        text_put(p->name, 20);
        printf("  %s%-7s%s  ", ctl_color(c, state), state, ctl_color_end(c));
        columns -= MIN(columns - 1, 8 + 2 + MAX(20U, text_width(p->name)) + 2 + 7 + 2);
        text_put_line(strempty(text ?: p->message), columns);
}

static void print_report(const Ctl *c, const Report *p)
{
        if (!c->json)
                print_text(c, p);
        else if (print_json(p) < 0)
                ctl_say_error("Out of memory.");
        fflush(stdout);
}

static int on_reported(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const Watch *w = userdata;
        Report p = {};

        if (bus_owner_sent(w->agent, m) &&
            sd_bus_message_read(m, "ssst", &p.name, &p.status, &p.message, &p.usec) >= 0 && is_watched(w, p.name))
                print_report(w->c, &p);
        return 0;
}

/* A run has ended. If it gave a status, a signal reports this; if it did not, its error is shown here. */
static void on_run_ended(const Watch *w, const char *path)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        ServiceInfo i = {};

        if (ctl_try_get_service_info(w->c, path, &i, &error) < 0)
                return; /* if the service was removed or the agent has ended, this is reported elsewhere */
        if (service_info_has_error(&i) && is_watched(w, i.name)) {
                const Report p = {
                        .usec = i.last_run, .name = i.name, .error = i.last_run_result, .detail = i.last_run_detail
                };

                print_report(w->c, &p);
        }
        service_info_done(&i);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ServiceInfo i = { .last_run = USEC_INFINITY };
        const Watch *w = userdata;
        const char *interface;

        if (bus_owner_sent(w->agent, m) && sd_bus_message_read(m, "s", &interface) >= 0 &&
            streq(interface, AGENT_SERVICE_INTERFACE) && service_info_read(m, &i) >= 0 && i.last_run != USEC_INFINITY)
                on_run_ended(w, sd_bus_message_get_path(m));
        service_info_done(&i);
        return 0;
}

static void on_agent(const char *owner, void *userdata)
{
        Watch *w = userdata;

        if (!owner)
                ctl_say_error("The agent stopped; waiting for it to return.");
        else if (w->agent_went)
                ctl_say_error("The agent is back.");
        w->agent_went = !owner;
}

static int add_matches(Watch *w)
{
        sd_bus *bus = w->c->bus;
        int r;

        r = sd_bus_match_signal(bus, NULL, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, "StatusReported",
                                on_reported, w);
        if (r < 0)
                return r;
        r = sd_bus_add_match(bus, NULL,
                             "type='signal',sender='" AGENT_BUS_NAME "',path_namespace='" AGENT_SERVICE_PATH
                             "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
                             on_changed, w);
        if (r < 0)
                return r;
        return bus_owner_new(bus, AGENT_BUS_NAME, on_agent, w, &w->agent);
}

/* Ends only when the bus does. */
static int process_forever(sd_bus *bus)
{
        int r;

        do {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        } while (r >= 0 || r == -EINTR);
        ctl_say_error("Lost the connection to the bus: %s", strerror(-r));
        return -CTL_EXIT_FAILURE;
}

/* Starts the agent if necessary. */
static int greet(Ctl *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, AGENT_PATH, "org.freedesktop.DBus.Peer", "Ping");
        return r < 0 ? r : ctl_call(c, m, NULL);
}

int verb_watch(Ctl *c, int argc, char *argv[])
{
        Watch w = { .c = c };
        int r;

        r = greet(c);
        if (r < 0)
                return r;
        if (argc > 0 && !(w.paths = calloc((size_t) argc, sizeof(*w.paths))))
                return -CTL_EXIT_FAILURE;
        for (int i = 0; i < argc && r >= 0; i++) {
                r = ctl_get_service(c, argv[i], w.paths + i);
                w.n_paths += r >= 0;
        }
        if (r >= 0 && (r = add_matches(&w)) < 0) {
                ctl_say_error("Cannot watch the agent: %s", strerror(-r));
                r = -CTL_EXIT_FAILURE;
        }
        if (r >= 0)
                r = process_forever(c->bus);
        bus_owner_free(w.agent);
        for (size_t i = 0; i < w.n_paths; i++)
                free(w.paths[i]);
        free(w.paths);
        return r;
}
