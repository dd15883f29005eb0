#include "service-info.h"

/* When the run ends, the agent changes LastRunUSec. A run that was under way already serves as well. */
static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ServiceInfo i = { .last_run = USEC_INFINITY };
        bool *done = userdata;

        if (sd_bus_message_skip(m, "s") >= 0 && service_info_read(m, &i) >= 0 && i.last_run != USEC_INFINITY)
                *done = true;
        service_info_done(&i);
        return 0;
}

static int wait_for(Ctl *c, const bool *done)
{
        int r;

        while (!*done) {
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, UINT64_MAX);
                if (r < 0) {
                        ctl_say_error("Lost the connection to the bus: %s", strerror(-r));
                        return -CTL_EXIT_FAILURE;
                }
        }
        return 0;
}

static int print_result(Ctl *c, const char *path)
{
        ServiceInfo i = {};
        int r;

        r = ctl_get_service_info(c, path, &i);
        if (r < 0)
                return r;
        if (c->json) {
                r = ctl_print_json(service_info_to_json(&i));
                if (r >= 0 && (service_info_has_error(&i) || !(streq(i.status, "OK") || streq(i.status, "UPDATE"))))
                        r = CTL_EXIT_NOT_OK;
        } else if (service_info_has_error(&i)) {
                printf("%s: %sexecution error%s: %s (%s)\n",
                       i.name,
                       ctl_color(c, "error"),
                       ctl_color_end(c),
                       strempty(i.last_run_detail),
                       i.last_run_result);
                r = CTL_EXIT_NOT_OK;
        } else {
                printf("%s: %s%s%s, %s\n", i.name, ctl_color(c, i.status), i.status, ctl_color_end(c), strempty(i.message));
                r = streq(i.status, "OK") || streq(i.status, "UPDATE") ? CTL_EXIT_OK : CTL_EXIT_NOT_OK;
        }
        service_info_done(&i);
        return r;
}

static int run_one(Ctl *c, const char *name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_free_ char *path = NULL;
        bool done = false;
        int r;

        r = ctl_get_service(c, name, &path);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(
                c->bus, &slot, AGENT_BUS_NAME, path, "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed, &done);
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, AGENT_SERVICE_INTERFACE, "Run");
        if (r < 0)
                return r;
        r = ctl_call(c, m, NULL);
        if (r < 0 || c->no_wait)
                return r;
        r = wait_for(c, &done);
        return r < 0 ? r : print_result(c, path);
}

int verb_run(Ctl *c, int argc, char *argv[])
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                int r = run_one(c, argv[i]);

                if (r < 0)
                        return r;
                result = MAX(result, r);
        }
        return result;
}

int verb_log(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *invocation, *text;
        bool any = false;
        uint64_t usec;
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, "GetLog");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "su", argv[0], c->lines);
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        r = ctl_call(c, m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(tss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(tss)", &usec, &invocation, &text)) > 0) {
                char when[64];

                printf("%s  %s\n", ctl_local_time(usec, when), text);
                any = true;
        }
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        if (!any)
                printf("%s has not printed anything yet.\n", argv[0]);
        return CTL_EXIT_OK;
}
