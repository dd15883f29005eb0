/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "shared/bus-owner.h"
#include "shared/bus-util.h"
#include "shared/log.h"
#include "shutdown.h"

struct Shutdown {
        sd_bus *bus;
        void (*changed)(bool active, void *userdata);
        void *userdata;
        bool active;
        int lock;
        bool again; /* something changed after ssid was asked */
        BusOwner *agent;
        sd_bus_slot *properties_match, *get_call, *lock_call;
};

/* ---- logind's lock ---- */

static int on_lock(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Shutdown *s = userdata;
        int fd;

        s->lock_call = sd_bus_slot_unref(s->lock_call);
        if (sd_bus_message_is_method_error(m, NULL)) {
                log_debug("No delay lock: %s", sd_bus_message_get_error(m)->message);
                return 0;
        }
        if (s->active || sd_bus_message_read(m, "h", &fd) < 0)
                return 0;
        safe_close(s->lock);
        s->lock = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return 0;
}

/* Does not start logind. */
static int take_lock(Shutdown *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        s->lock_call = sd_bus_slot_unref(s->lock_call);
        r = sd_bus_message_new_method_call(s->bus, &m, "org.freedesktop.login1", "/org/freedesktop/login1",
                                           "org.freedesktop.login1.Manager", "Inhibit");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ssss", "shutdown", "ssi-uplinkd",
                                  "Tells the monitoring backend that this host is going down", "delay");
        return r < 0 ? r : sd_bus_call_async(s->bus, &s->lock_call, m, on_lock, s, 0);
}

void shutdown_release(Shutdown *s)
{
        if (s)
                s->lock = safe_close(s->lock);
}

/* ---- ssid's answer ---- */

static void set_active(Shutdown *s, bool active)
{
        int r;

        if (s->active == active)
                return;
        s->active = active;
        if (!active) {
                r = take_lock(s);
                if (r < 0)
                        log_debug_errno(r, "Cannot ask for a delay lock");
        }
        s->changed(active, s->userdata);
}

static void look(Shutdown *s);

static int on_got(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Shutdown *s = userdata;
        int active;

        s->get_call = sd_bus_slot_unref(s->get_call);
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "v", "b", &active) >= 0)
                set_active(s, active);
        if (s->again)
                look(s);
        return 0;
}

static int ask(Shutdown *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(s->bus, &m, AGENT_BUS_NAME, AGENT_PATH, "org.freedesktop.DBus.Properties",
                                           "Get");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", AGENT_MANAGER_INTERFACE, "ShuttingDown");
        return r < 0 ? r : sd_bus_call_async(s->bus, &s->get_call, m, on_got, s, 0);
}

static void look(Shutdown *s)
{
        int r;

        s->again = s->get_call;
        r = s->get_call ? 0 : ask(s);
        if (r < 0)
                log_warning_errno(r, "Cannot ask ssid whether the host is going down");
}

/* If ssid ends, this means nothing: at a shutdown, it may end first. */
static void on_agent(const char *owner, void *userdata)
{
        if (owner)
                look(userdata);
}

/* The signal only tells of a change; ask for the current value. */
static bool is_of_shutdown(const char *property)
{
        return streq(property, "ShuttingDown");
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Shutdown *s = userdata;

        if (bus_owner_sent(s->agent, m) && bus_change_names(m, AGENT_MANAGER_INTERFACE, is_of_shutdown))
                look(s);
        return 0;
}

int shutdown_new(sd_bus *bus, void (*changed)(bool active, void *userdata), void *userdata, Shutdown **ret)
{
        _cleanup_(shutdown_freep) Shutdown *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (Shutdown){ .bus = sd_bus_ref(bus), .changed = changed, .userdata = userdata, .lock = -EBADF };
        r = sd_bus_match_signal_async(bus, &s->properties_match, AGENT_BUS_NAME, AGENT_PATH,
                                      "org.freedesktop.DBus.Properties", "PropertiesChanged", on_properties, NULL, s);
        if (r < 0)
                return r;
        r = bus_owner_new(bus, AGENT_BUS_NAME, on_agent, s, &s->agent);
        if (r >= 0)
                r = take_lock(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Shutdown *shutdown_free(Shutdown *s)
{
        if (!s)
                return NULL;
        sd_bus_slot_unref(s->properties_match);
        bus_owner_free(s->agent);
        sd_bus_slot_unref(s->get_call);
        sd_bus_slot_unref(s->lock_call);
        safe_close(s->lock);
        sd_bus_unref(s->bus);
        free(s);
        return NULL;
}
