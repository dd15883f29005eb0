/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-daemon.h>

#include "boot-id.h"
#include "shared/bus-util.h"
#include "shared/daemon-main.h"
#include "shared/log.h"
#include "manager.h"

#define ANNOUNCE_DELAY_USEC (100 * USEC_PER_MSEC)

static int on_changed(sd_event_source *s, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        m->changed = sd_event_source_disable_unref(m->changed);
        manager_emit_changed(m);
        return 0;
}

void manager_changed(Manager *m)
{
        int r;

        if (m->changed)
                return;
        r = sd_event_add_time_relative(m->event, &m->changed, CLOCK_MONOTONIC, ANNOUNCE_DELAY_USEC, 0, on_changed, m);
        if (r < 0)
                log_error_errno(r, "Cannot announce changed properties");
}

static void say_status(Manager *m)
{
        if (!m->registered)
                (void) sd_notify(false, "STATUS=Not registered");
        else if (session_is_connected(m->session))
                (void) sd_notifyf(false, "STATUS=Connected to %s", m->credentials.server_url);
        else
                (void) sd_notifyf(false, "STATUS=Not connected to %s: %s", m->credentials.server_url, m->last_error);
}

/* If it cannot be saved, both keys stay saved, and the next connection settles it. */
static void settle_key(Manager *m, bool next_is_valid)
{
        int r;

        if (!m->credentials.next_api_key)
                return;
        if (next_is_valid)
                log_info("The agent's key was changed");
        else
                log_warning("%s does not accept the new key; the key stays as it was", m->credentials.server_url);
        credentials_settle_key(&m->credentials, next_is_valid);
        r = credentials_save(SSI_UPLINK_STATE_DIR, &m->credentials);
        if (r < 0)
                log_warning_errno(r, "Cannot save the credentials in " SSI_UPLINK_STATE_DIR);
}

static void on_connected(bool next_key, void *userdata)
{
        Manager *m = userdata;

        log_info("Connected to %s", m->credentials.server_url);
        m->last_error[0] = '\0';
        m->warned = m->rejected = false;
        settle_key(m, next_key);
        say_status(m);
        manager_emit_changed(m);
        registration_connected(m->registration);
        rotation_connected(m->rotation, next_key);
}

static void on_disconnected(const char *reason, SessionLoss loss, void *userdata)
{
        Manager *m = userdata;
        bool known = m->warned && streq(m->last_error, reason), final = loss == LOSS_REJECTED;

        snprintf(m->last_error, sizeof(m->last_error), "%s", reason);
        /* However many attempts fail during an outage, each cause is logged once. */
        if (final)
                log_warning("%s no longer knows this agent (%s); not reconnecting until it is registered again",
                            m->credentials.server_url, reason);
        else if (!known && loss == LOSS_DUPLICATE)
                log_warning("%s refuses this host: %s", m->credentials.server_url, reason);
        else if (!known)
                log_notice("Not connected to %s: %s; trying again", m->credentials.server_url, reason);
        else
                log_debug("Not connected to %s: %s", m->credentials.server_url, reason);
        m->warned = true;
        m->rejected |= loss != LOSS_RETRY;
        say_status(m);
        manager_changed(m);
        registration_disconnected(m->registration, reason, final);
        rotation_disconnected(m->rotation, reason, final);
}

static void on_new_key(const char *key, void *userdata)
{
        Manager *m = userdata;

        rotation_take_key(m->rotation, key);
}

static void on_session_changed(void *userdata)
{
        manager_changed(userdata);
}

static int on_inventory(char **ret, void *userdata)
{
        Manager *m = userdata;

        return inventory_message(m->inventory, ret);
}

static void on_reported(const char *slug, void *userdata)
{
        Manager *m = userdata;

        inventory_expect(m->inventory, slug);
}

static void on_going_down_told(void *userdata)
{
        Manager *m = userdata;

        shutdown_release(m->shutdown);
}

static void on_shutdown(bool active, void *userdata)
{
        Manager *m = userdata;

        if (active)
                log_info("The host is about to go down");
        session_going_down(m->session, active);
}

static const SessionOps session_ops = {
        .connected = on_connected,
        .disconnected = on_disconnected,
        .new_key = on_new_key,
        .changed = on_session_changed,
        .inventory = on_inventory,
        .reported = on_reported,
        .going_down_told = on_going_down_told,
};

static void on_inventory_changed(void *userdata)
{
        Manager *m = userdata;

        session_inventory_changed(m->session);
}

static void manager_clear(Manager *m)
{
        session_stop(m->session);
        credentials_done(&m->credentials);
        server_url_done(&m->url);
        m->registered = false;
        m->rejected = false;
        m->warned = false;
        m->last_error[0] = '\0';
}

int manager_adopt(Manager *m, Credentials *credentials, ServerUrl *url)
{
        int r;

        manager_clear(m);
        m->credentials = *credentials;
        m->url = *url;
        *credentials = (Credentials){};
        *url = (ServerUrl){};
        m->registered = true;
        manager_changed(m);
        r = session_start(m->session, &m->credentials, &m->url);
        say_status(m);
        return r;
}

int manager_save_next_key(Manager *m, const char *key)
{
        Credentials next = m->credentials; /* borrows all but the key */
        int r;

        next.next_api_key = strdup(key);
        if (!next.next_api_key)
                return -ENOMEM;
        r = credentials_save(SSI_UPLINK_STATE_DIR, &next);
        if (r < 0) {
                explicit_bzero(next.next_api_key, strlen(next.next_api_key));
                free(next.next_api_key);
                return r;
        }
        credentials_settle_key(&m->credentials, false);
        m->credentials.next_api_key = next.next_api_key;
        return 0;
}

int manager_forget(Manager *m)
{
        int r;

        r = credentials_remove(SSI_UPLINK_STATE_DIR);
        if (r < 0 && r != -ENOENT)
                return r;
        manager_clear(m);
        say_status(m);
        manager_changed(m);
        return 0;
}

/* Reads the saved registration. If the file is damaged, the host counts as not registered until a person fixes this. */
static int load(Manager *m)
{
        Credentials c = {};
        ServerUrl url = {};
        int r;

        r = credentials_load(SSI_UPLINK_STATE_DIR, &c);
        if (r == -ENOENT)
                return 0;
        if (r < 0) {
                log_warning_errno(r,
                                  "Cannot use the credentials in " SSI_UPLINK_STATE_DIR "; register this host again");
                return 0;
        }
        r = server_url_parse(c.server_url, &url);
        if (r >= 0)
                r = net_set_ca(m->net, c.ca);
        if (r < 0) {
                log_warning_errno(r, "Cannot use the saved address or certificate; register this host again");
                credentials_done(&c);
                server_url_done(&url);
                return 0;
        }
        return manager_adopt(m, &c, &url);
}

int manager_new(Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        r = daemon_event_new(&m->event);
        if (r < 0)
                return r;
        r = polkit_registry_new(&m->polkit);
        if (r < 0)
                return r;
        r = net_new(m->event, &m->net);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int manager_start(Manager *m)
{
        char boot_id[BOOT_ID_MAX];
        int r;

        r = bus_open_daemon(m->event, &m->bus);
        if (r < 0)
                return log_error_errno(r, "Cannot connect to the system bus");
        r = bus_turns_new(m->bus, m->polkit, &m->turns);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the turns of the bus' users");
        r = boot_id_get(m->bus, boot_id);
        if (r < 0)
                log_warning_errno(r, "Cannot tell this boot from others; a copy of this host would not be noticed");
        r = session_new(m->event, m->bus, m->net, r < 0 ? NULL : boot_id, &session_ops, m, &m->session);
        if (r < 0)
                return log_error_errno(r, "Cannot watch ssid on the bus");
        r = manager_add_object(m);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the bus object");
        r = inventory_new(m->bus, on_inventory_changed, m, &m->inventory);
        if (r < 0)
                return log_error_errno(r, "Cannot watch ssid on the bus");
        r = shutdown_new(m->bus, on_shutdown, m, &m->shutdown);
        if (r < 0)
                return log_error_errno(r, "Cannot watch for the host's shutdown");
        r = load(m);
        if (r < 0)
                return log_error_errno(r, "Cannot start connecting");
        r = bus_request_name(m->bus, UPLINK_BUS_NAME);
        if (r < 0)
                return log_error_errno(r, "Cannot ask for the bus name");
        (void) sd_notify(false, "READY=1");
        say_status(m);
        return 0;
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        registration_free(m->registration);
        rotation_free(m->rotation);
        session_free(m->session);
        net_free(m->net);
        inventory_free(m->inventory);
        shutdown_free(m->shutdown);
        bus_turns_free(m->turns);
        polkit_registry_free(m->polkit);
        sd_event_source_disable_unref(m->changed);
        for (size_t i = 0; i < UPLINK_STRINGS; i++)
                free(m->announced.strings[i]);
        credentials_done(&m->credentials);
        server_url_done(&m->url);
        sd_bus_flush_close_unref(m->bus);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}
