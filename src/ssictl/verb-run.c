#include "service-info.h"
#include "text.h"

/* Waiting for the end of a run.
 *
 * The agent changes LastRunUSec when a run has ended; a run that was under way already serves as well. Two things can
 * come between. The service may be removed. And the agent may end: then it may be starting again, so that we wait a
 * little, and look for a result that it found in the journal instead of telling it. */

/* How long an agent may take to come back. */
#define AGENT_RETURN_USEC (15 * USEC_PER_SEC)

typedef struct RunWait {
        const char *path;
        uint64_t previous_run; /* LastRunUSec before */
        uint64_t lost_at;      /* when the agent ended; 0 while it is there */
        bool ended, removed, returned;
} RunWait;

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ServiceInfo i = { .last_run = USEC_INFINITY };
        RunWait *w = userdata;

        if (sd_bus_message_skip(m, "s") >= 0 && service_info_read(m, &i) >= 0 && i.last_run != USEC_INFINITY)
                w->ended = true;
        service_info_done(&i);
        return 0;
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        RunWait *w = userdata;
        const char *path;

        if (sd_bus_message_read(m, "o", &path) >= 0 && streq(path, w->path))
                w->removed = true;
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *old_owner, *new_owner;
        RunWait *w = userdata;

        if (sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner) < 0)
                return 0;
        w->lost_at = isempty(new_owner) ? ctl_now() : 0;
        w->returned = !isempty(new_owner);
        return 0;
}

static int watch_run(Ctl *c, RunWait *w, sd_bus_slot *slots[static 3])
{
        int r;

        r = sd_bus_match_signal(
                c->bus, slots, AGENT_BUS_NAME, w->path, "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed, w);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(
                c->bus,
                slots + 1,
                AGENT_BUS_NAME,
                AGENT_PATH,
                "org.freedesktop.DBus.ObjectManager",
                "InterfacesRemoved",
                on_removed,
                w);
        if (r < 0)
                return r;
        return sd_bus_add_match(c->bus, slots + 2, CTL_MATCH_AGENT_OWNER, on_owner_changed, w);
}

/* An agent that came back: has it found the run's result meanwhile? */
static int look_again(Ctl *c, RunWait *w)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        ServiceInfo i = {};
        int r;

        w->returned = false;
        r = ctl_try_get_service_info(c, w->path, &i, &error);
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
                w->removed = true;
                return 0;
        }
        if (r < 0)
                return ctl_bus_error(&error, r);
        if (i.last_run != w->previous_run)
                w->ended = true;
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

static int wait_for_end(Ctl *c, RunWait *w, const char *name)
{
        while (!w->ended) {
                int r;

                if (w->removed) {
                        ctl_say_error("%s was removed while it ran.", name);
                        return -CTL_EXIT_NO_SERVICE;
                }
                if (w->lost_at > 0 && ctl_now() > w->lost_at + AGENT_RETURN_USEC) {
                        ctl_say_error("The agent has ended and does not come back; the run of %s goes on without it. "
                                      "(systemctl status ssid)",
                                      name);
                        return -CTL_EXIT_FAILURE;
                }
                r = w->returned ? look_again(c, w) : process(c, w->lost_at > 0 ? USEC_PER_SEC : UINT64_MAX);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* note: in brackets, or NULL. */
static void print_line(
        const Ctl *c,
        const ServiceInfo *i,
        const char *color,
        const char *word,
        const char *separator,
        const char *text,
        const char *note)
{
        _cleanup_free_ char *safe = text_cut(strempty(text), TEXT_WIDTH_MAX);

        printf("%s: %s%s%s%s%s", i->name, color, word, ctl_color_end(c), separator, strempty(safe));
        if (note)
                printf(" (%s)", note);
        putchar('\n');
}

static int print_result(Ctl *c, const char *path)
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

static int start(Ctl *c, const char *path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, AGENT_SERVICE_INTERFACE, "Run");
        return r < 0 ? r : ctl_call_authorized(c, m, NULL);
}

static int run_and_wait(Ctl *c, const char *name, const char *path)
{
        sd_bus_slot *slots[3] = {};
        RunWait w = { .path = path };
        ServiceInfo i = {};
        int r;

        r = watch_run(c, &w, slots);
        if (r < 0) {
                ctl_say_error("Cannot watch the agent: %s", strerror(-r));
                r = -CTL_EXIT_FAILURE;
        } else
                r = ctl_get_service_info(c, path, &i);
        if (r >= 0) {
                w.previous_run = i.last_run;
                service_info_done(&i);
                r = start(c, path);
        }
        if (r >= 0)
                r = wait_for_end(c, &w, name);
        for (size_t k = 0; k < ELEMENTSOF(slots); k++)
                sd_bus_slot_unref(slots[k]);
        return r < 0 ? r : print_result(c, path);
}

static int start_only(Ctl *c, const char *name, const char *path)
{
        int r;

        r = start(c, path);
        if (r < 0 || !c->json)
                return r;
        return ctl_print_done(c, "started", name, "");
}

int verb_run(Ctl *c, int argc, char *argv[])
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                _cleanup_free_ char *path = NULL;
                int r;

                r = ctl_get_service(c, argv[i], &path);
                if (r < 0)
                        return r;
                r = c->no_wait ? start_only(c, argv[i], path) : run_and_wait(c, argv[i], path);
                if (r < 0)
                        return r;
                result = MAX(result, r);
        }
        return result;
}
