/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-util.h"
#include "shared/log.h"
#include "manager.h"

#define ACTION_MANAGE "org.ssi.uplink1.manage-registration"

#define CA_LENGTH_MAX (256U * 1024)

static int refuse_in_progress(const Manager *m, sd_bus_error *error)
{
        return sd_bus_error_set(error, UPLINK_ERROR("InProgress"),
                                m->registration ? "A registration is under way." : "The key is being changed.");
}

static int refuse_not_registered(sd_bus_error *error)
{
        return sd_bus_error_set(error, UPLINK_ERROR("NotRegistered"), "This host is not registered.");
}

static int read_option(sd_bus_message *m, const char *name, void *userdata)
{
        const char **ca = userdata;

        return streq(name, "ca") ? sd_bus_message_read(m, "v", "s", ca) : -ENOENT;
}

/* If true, there is nothing to do, and the token is not used. Without ca, any certificate authority matches. */
static bool is_registered_with(const Manager *m, const char *server_url, const char *ca)
{
        ServerUrl url = {};
        bool same;

        if (server_url_parse(server_url, &url) < 0)
                return false;
        same = m->url.host && url.tls == m->url.tls && url.port == m->url.port &&
               strcasecmp(url.host, m->url.host) == 0 && (!ca || streq_ptr(ca, m->credentials.ca));
        server_url_done(&url);
        return same;
}

static int on_claimed(Credentials *credentials, ServerUrl *url, void *userdata)
{
        return manager_adopt(userdata, credentials, url);
}

static void on_claim_failed(void *userdata)
{
        Manager *m = userdata;

        if (m->registered)
                (void) net_set_ca(m->net, m->credentials.ca);
}

static int method_register(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *server_url, *claim_token, *ca = NULL;
        Manager *m = userdata;
        int r;

        r = bus_begin(message, ACTION_MANAGE, m->polkit, error, "ss", &server_url, &claim_token);
        if (r != 0)
                return r;
        r = bus_read_options(message, read_option, &ca, UPLINK_ERROR("InvalidOption"), error);
        if (r < 0)
                return r;
        if (ca && strlen(ca) > CA_LENGTH_MAX)
                return sd_bus_error_set(error, UPLINK_ERROR("InvalidCA"), "The certificate authority is too large.");
        if (m->registration || m->rotation)
                return refuse_in_progress(m, error);
        ca = isempty(ca) ? NULL : ca;
        if (m->registered && !m->rejected) {
                if (is_registered_with(m, server_url, ca))
                        return sd_bus_reply_method_return(message, NULL);
                return sd_bus_error_setf(
                        error, UPLINK_ERROR("AlreadyRegistered"),
                        "This host is registered with %s%s. Unregister it first.", m->credentials.server_url,
                        is_registered_with(m, server_url, NULL) ? " and another certificate authority" : "");
        }
        return bus_answered_elsewhere(registration_start(&m->registration, m->net, message, server_url, claim_token, ca,
                                                         on_claimed, on_claim_failed, m, error));
}

static int method_unregister(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        int r;

        r = bus_begin(message, ACTION_MANAGE, m->polkit, error, "");
        if (r != 0)
                return r;
        if (m->registration || m->rotation)
                return refuse_in_progress(m, error);
        if (!m->registered)
                return refuse_not_registered(error);
        r = manager_forget(m);
        if (r < 0)
                return sd_bus_error_setf(error, UPLINK_ERROR("StateFailed"),
                                         "Cannot remove the credentials from " SSI_UPLINK_STATE_DIR ": %s",
                                         strerror(-r));
        return sd_bus_reply_method_return(message, NULL);
}

static int on_key(const char *key, void *userdata)
{
        Manager *m = userdata;
        int r;

        r = manager_save_next_key(m, key);
        if (r >= 0)
                session_reconnect(m->session);
        return r;
}

static int method_rotate_key(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        int r;

        r = bus_begin(message, ACTION_MANAGE, m->polkit, error, "");
        if (r != 0)
                return r;
        if (m->registration || m->rotation)
                return refuse_in_progress(m, error);
        if (!m->registered)
                return refuse_not_registered(error);
        r = session_rotate_key(m->session);
        if (r == -ENOTCONN)
                return sd_bus_error_setf(error, UPLINK_ERROR("NotConnected"),
                                         "This host is not connected to %s; \"ssictl uplink\" says why.",
                                         m->credentials.server_url);
        if (r == -EOPNOTSUPP)
                return sd_bus_error_setf(
                        error, UPLINK_ERROR("NotSupported"),
                        "The backend %s does not support changing the key: upgrade it, or register this "
                        "host with a new token.",
                        m->credentials.server_url);
        return bus_answered_elsewhere(rotation_start(&m->rotation, m->event, message, on_key, m));
}

/* ---- Properties ---- */

static const char *const string_names[UPLINK_STRINGS] = { "ServerURL", "AgentID", "LastError" };
static const char *const figure_names[UPLINK_FIGURES] = { "LastAckUSec", "BacklogEntries", "Sent", "Failed",
                                                          "Reconnects" };

static const char *string_of(const Manager *m, const char *property)
{
        return strempty(streq(property, "ServerURL") ? m->credentials.server_url :
                        streq(property, "AgentID")   ? m->credentials.agent_id :
                                                       m->last_error);
}

static uint64_t figure_of(const Manager *m, const char *property)
{
        const SessionStats *stats = session_stats(m->session);

        return streq(property, "LastAckUSec")    ? stats->last_ack :
               streq(property, "BacklogEntries") ? session_backlog(m->session) :
               streq(property, "Sent")           ? stats->sent :
               streq(property, "Failed")         ? stats->failed :
                                                   stats->reconnects;
}

BUS_GETTER(get_connected)
{
        Manager *m = userdata;

        return sd_bus_message_append(reply, "b", session_is_connected(m->session));
}

BUS_GETTER(get_string)
{
        return sd_bus_message_append(reply, "s", string_of(userdata, property));
}

BUS_GETTER(get_figure)
{
        return sd_bus_message_append(reply, "t", figure_of(userdata, property));
}

#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable uplink_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Connected", "b", get_connected, 0, EMITS),
        SD_BUS_PROPERTY("ServerURL", "s", get_string, 0, EMITS),
        SD_BUS_PROPERTY("AgentID", "s", get_string, 0, EMITS),
        SD_BUS_PROPERTY("LastError", "s", get_string, 0, EMITS),
        SD_BUS_PROPERTY("LastAckUSec", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("BacklogEntries", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("Sent", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("Failed", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("Reconnects", "t", get_figure, 0, EMITS),
        SD_BUS_METHOD_WITH_ARGS("Register", SD_BUS_ARGS("s", server_url, "s", claim_token, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Unregister", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_unregister,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RotateKey", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_rotate_key,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int manager_add_object(Manager *m)
{
        return sd_bus_add_object_vtable(m->bus, NULL, UPLINK_PATH, UPLINK_INTERFACE, uplink_vtable, m);
}

/* Lists the properties that differ from the values announced last. */
static int list_changed(Manager *m, char *names[static 1 + UPLINK_STRINGS + UPLINK_FIGURES + 1])
{
        bool connected = session_is_connected(m->session);
        size_t n = 0;

        if (connected != m->announced.connected)
                names[n++] = (char *) "Connected";
        m->announced.connected = connected;
        for (size_t i = 0; i < UPLINK_STRINGS; i++) {
                const char *value = string_of(m, string_names[i]);

                if (streq(value, strempty(m->announced.strings[i])))
                        continue;
                if (free_and_strdup(m->announced.strings + i, value) < 0)
                        return -ENOMEM;
                names[n++] = (char *) string_names[i];
        }
        for (size_t i = 0; i < UPLINK_FIGURES; i++) {
                uint64_t value = figure_of(m, figure_names[i]);

                if (value != m->announced.figures[i])
                        names[n++] = (char *) figure_names[i];
                m->announced.figures[i] = value;
        }
        return (int) n;
}

void manager_emit_changed(Manager *m)
{
        char *names[1 + UPLINK_STRINGS + UPLINK_FIGURES + 1] = {};
        int r;

        if (!m->bus)
                return;
        r = list_changed(m, names);
        if (r > 0)
                r = sd_bus_emit_properties_changed_strv(m->bus, UPLINK_PATH, UPLINK_INTERFACE, names);
        if (r < 0)
                log_debug_errno(r, "Cannot announce changed properties");
}
