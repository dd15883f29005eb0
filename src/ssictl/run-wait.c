/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-owner.h"
#include "run-wait.h"
#include "service-info.h"
#include "text.h"
#include "shared/time-util.h"

/* How long the agent may take to come back. */
#define AGENT_RETURN_USEC (15 * USEC_PER_SEC)
/* How often the agent is queried if there is no signal. */
#define CHECK_USEC (5 * USEC_PER_SEC)
/* How long after its timeout the service may still run: systemd waits for TimeoutStopSec= twice. */
#define GRACE_USEC (30 * USEC_PER_SEC)

typedef struct RunWait {
        const char *path;
        char *unit;
        BusOwner *agent;       /* checks that signals come from the agent */
        char *invocation_id;   /* of the awaited run; "" if the agent does not know it */
        uint64_t previous_run; /* the earlier LastRunUSec */
        /* Times on the monotonic clock: */
        uint64_t deadline; /* USEC_INFINITY: none */
        uint64_t check_at; /* when to query the agent next */
        uint64_t lost_at;  /* when the agent ended; 0 while it is running */
        bool ended, removed, look;
} RunWait;

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        RunWait *w = userdata;

        w->look = w->look || bus_owner_sent(w->agent, m);
        return 0;
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        RunWait *w = userdata;
        const char *path;

        if (bus_owner_sent(w->agent, m) && sd_bus_message_read(m, "o", &path) >= 0 && streq(path, w->path))
                w->look = true;
        return 0;
}

static void on_agent(const char *owner, void *userdata)
{
        RunWait *w = userdata;

        w->lost_at = owner ? 0 : now_usec(CLOCK_MONOTONIC);
        w->look = owner;
}

static int watch_run(Ctl *c, RunWait *w, sd_bus_slot *slots[static 2])
{
        int r;

        r = sd_bus_match_signal(c->bus, slots, AGENT_BUS_NAME, w->path, "org.freedesktop.DBus.Properties",
                                "PropertiesChanged", on_changed, w);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(c->bus, slots + 1, AGENT_BUS_NAME, AGENT_PATH, "org.freedesktop.DBus.ObjectManager",
                                "InterfacesRemoved", on_removed, w);
        return r < 0 ? r : bus_owner_new(c->bus, AGENT_BUS_NAME, on_agent, w, &w->agent);
}

/* Checks whether the run has ended. */
static int look(Ctl *c, RunWait *w)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        ServiceInfo i = {};
        int r;

        w->look = false;
        r = ctl_try_get_service_info(c, w->path, &i, &error);
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
                w->removed = true;
                return 0;
        }
        /* The agent has ended; on_agent() handles this. */
        if (sd_bus_error_has_names(&error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                   SD_BUS_ERROR_NO_REPLY))
                return 0;
        if (r < 0)
                return ctl_bus_error(&error, r);
        w->ended = i.last_run != w->previous_run && (isempty(w->invocation_id) || isempty(i.last_run_invocation));
        if (!isempty(w->invocation_id))
                w->ended = w->ended || streq(w->invocation_id, strempty(i.last_run_invocation));
        service_info_done(&i);
        return 0;
}

static int process(Ctl *c, uint64_t timeout)
{
        int r;

        r = sd_bus_process(c->bus, NULL);
        if (r == 0)
                r = sd_bus_wait(c->bus, timeout);
        if (r < 0 && r != -EINTR) {
                ctl_say_error("Lost the connection to the bus: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return 0;
}

static int give_up(const RunWait *w, const char *name)
{
        ctl_say_error("The agent did not report the end of %s within its timeout; not waiting any longer. "
                      "(systemctl status %s ssid)",
                      name, w->unit);
        return -CTL_EXIT_TIMED_OUT;
}

static int wait_for_end(Ctl *c, RunWait *w, const char *name)
{
        while (!w->ended) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);
                int r = 0;

                if (w->removed) {
                        ctl_say_error("%s was removed while it ran.", name);
                        return -CTL_EXIT_NO_SERVICE;
                }
                if (w->lost_at > 0 && now > w->lost_at + AGENT_RETURN_USEC) {
                        ctl_say_error("The agent stopped and did not come back; %s continues to run without it. "
                                      "(systemctl status ssid)",
                                      name);
                        return -CTL_EXIT_FAILURE;
                }
                if (w->look)
                        r = look(c, w);
                else if (now > w->deadline)
                        r = give_up(w, name);
                else if (now >= w->check_at) {
                        w->check_at = now + CHECK_USEC;
                        w->look = w->lost_at == 0;
                } else
                        r = process(c, w->lost_at > 0 ? USEC_PER_SEC : w->check_at - now);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* note: printed in brackets; NULL: none. */
static void print_line(const Ctl *c, const ServiceInfo *i, const char *color, const char *word, const char *separator,
                       const char *text, const char *note)
{
        _cleanup_free_ char *safe = text_cut(strempty(text), TEXT_WIDTH_MAX);

        printf("%s: %s%s%s%s%s", i->name, color, word, ctl_color_end(c), separator, strempty(safe));
        if (note)
                printf(" (%s)", note);
        putchar('\n');
}

int run_print_result(Ctl *c, const char *path)
{
        ServiceInfo i = {};
        int r;

        r = ctl_get_service_info(c, path, &i);
        if (r < 0)
                return r;
        r = CTL_EXIT_OK;
        if (c->json)
                r = ctl_print_json(service_info_to_json(&i));
        else if (service_info_has_error(&i))
                print_line(c, &i, ctl_color(c, "error"), "execution error", ": ", i.last_run_detail, i.last_run_result);
        else
                print_line(c, &i, ctl_color(c, service_info_state(&i)), service_info_state(&i), ", ", i.message, NULL);
        if (r >= 0 && (service_info_is_bad(&i) || isempty(i.status)))
                r = CTL_EXIT_NOT_OK;
        service_info_done(&i);
        return r;
}

int run_start(Ctl *c, const char *path, char **ret_id)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *id = "";
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, AGENT_SERVICE_INTERFACE, "Run");
        if (r >= 0)
                r = ctl_call_authorized(c, m, &reply);
        if (r < 0 || !ret_id)
                return r;
        (void) sd_bus_message_read(reply, "s", &id);
        *ret_id = strdup(id);
        return *ret_id ? 0 : -CTL_EXIT_FAILURE;
}

/* Called before the run begins. */
static int prepare(Ctl *c, RunWait *w, uint64_t *ret_timeout)
{
        ServiceInfo i = {};
        int r;

        r = ctl_get_service_info(c, w->path, &i);
        if (r < 0)
                return r;
        w->previous_run = i.last_run;
        w->unit = TAKE_PTR(i.unit);
        *ret_timeout = i.timeout_usec;
        service_info_done(&i);
        return w->unit ? 0 : -CTL_EXIT_FAILURE;
}

int run_wait(Ctl *c, const char *name, const char *path, const char *invocation_id)
{
        sd_bus_slot *slots[2] = {};
        RunWait w = { .path = path };
        uint64_t timeout = 0;
        int r;

        r = watch_run(c, &w, slots);
        if (r < 0) {
                ctl_say_error("Cannot watch the agent: %s", strerror(-r));
                r = -CTL_EXIT_FAILURE;
        } else
                r = prepare(c, &w, &timeout);
        if (r >= 0 && !invocation_id)
                r = run_start(c, path, &w.invocation_id);
        else if (r >= 0 && !(w.invocation_id = strdup(invocation_id)))
                r = -CTL_EXIT_FAILURE;
        if (r >= 0) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);

                w.check_at = now + CHECK_USEC;
                w.look = true; /* the run may be over already */
                w.deadline = timeout < USEC_INFINITY - now - GRACE_USEC ? now + timeout + GRACE_USEC : USEC_INFINITY;
                r = wait_for_end(c, &w, name);
        }
        for (size_t k = 0; k < ELEMENTSOF(slots); k++)
                sd_bus_slot_unref(slots[k]);
        bus_owner_free(w.agent);
        free(w.unit);
        free(w.invocation_id);
        return r;
}
