/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-bus.h>

#include "shared/bus-util.h"
#include "operation.h"
#include "privilege.h"
#include "run-history.h"
#include "run-start.h"
#include "service-bus.h"

/* In the order of ServiceProperty. */
static const char *const property_names[_SERVICE_PROPERTY_MAX] = {
        [SERVICE_TITLE] = "Title",
        [SERVICE_DESCRIPTION] = "Description",
        [SERVICE_SCRIPT_VERSION] = "ScriptVersion",
        [SERVICE_METADATA] = "Metadata",
        [SERVICE_SCHEDULE] = "Schedule",
        [SERVICE_TIMEOUT] = "TimeoutUSec",
        [SERVICE_USER] = "User",
        [SERVICE_LABELS] = "Labels",
        [SERVICE_WATCHES] = "Watches",
        [SERVICE_DEPENDS_ON] = "DependsOn",
        [SERVICE_ENABLED] = "Enabled",
        [SERVICE_STATUS] = "Status",
        [SERVICE_MESSAGE] = "Message",
        [SERVICE_STATUS_TIMESTAMP] = "StatusTimestampUSec",
        [SERVICE_LAST_RUN] = "LastRunUSec",
        [SERVICE_LAST_RUN_INVOCATION] = "LastRunInvocationID",
        [SERVICE_LAST_RUN_RESULT] = "LastRunResult",
        [SERVICE_LAST_RUN_DETAIL] = "LastRunDetail",
        [SERVICE_LAST_RUN_DURATION] = "LastRunDurationUSec",
        [SERVICE_LAST_RUN_CPU] = "LastRunCPUUSec",
        [SERVICE_LAST_RUN_MEMORY_PEAK] = "LastRunMemoryPeakBytes",
        [SERVICE_NEXT_RUN] = "NextRunUSec",
};

BUS_GETTER(property_get_status)
{
        const Status *status = userdata;

        return sd_bus_message_append(reply, "s", strempty(status_to_string(*status)));
}

BUS_GETTER(property_get_id)
{
        const sd_id128_t *id = userdata;
        char text[SD_ID128_STRING_MAX] = "";

        if (!sd_id128_is_null(*id))
                sd_id128_to_string(*id, text);
        return sd_bus_message_append(reply, "s", text);
}

BUS_GETTER(property_get_words)
{
        const char *s = *(char **) userdata, *word;
        size_t n;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        if (r < 0)
                return r;
        while ((n = metadata_next_word(&s, &word)) > 0) {
                _cleanup_free_ char *copy = strndup(word, n);

                if (!copy)
                        return -ENOMEM;
                r = sd_bus_message_append(reply, "s", copy);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

BUS_GETTER(property_get_metadata)
{
        char *const *values = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{ss}");
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX && r >= 0; k++)
                if (values[k])
                        r = sd_bus_message_append(reply, "{ss}", metadata_key_to_string(k), values[k]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int method_remove(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Service *s = userdata;
        int r;

        r = bus_begin(message, ACTION_MANAGE, s->agent->polkit, error, "");
        if (r != 0)
                return r;
        return bus_answered_elsewhere(operation_remove(s->agent, message, s->slug, error));
}

/* Asks whether the sender may have it run, now or by its timer. 1, 0 when that is yet to be answered, or a negative errno. */
static int authorize_run(sd_bus_message *message, const Service *s, const char *action, bool *ret_privileged,
                         sd_bus_error *error)
{
        _cleanup_free_ char *why = NULL;
        int r;

        r = privilege_to_run(s->slug, &why);
        return privilege_verify(message, s->agent->polkit, action, r, why, ret_privileged, error);
}

static int method_enable(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        bool privileged = false;
        Service *s = userdata;
        int r;

        r = authorize_run(message, s, ACTION_MANAGE, &privileged, error);
        if (r <= 0)
                return bus_answered_elsewhere(r);
        return bus_answered_elsewhere(operation_set_enabled(s->agent, message, s->slug, true, privileged, error));
}

static int method_disable(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Service *s = userdata;
        int r;

        r = bus_begin(message, ACTION_MANAGE, s->agent->polkit, error, "");
        if (r != 0)
                return r;
        return bus_answered_elsewhere(operation_set_enabled(s->agent, message, s->slug, false, false, error));
}

/* Open to everyone, like the installed file. */
static int method_get_script(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *content = NULL;
        Service *s = userdata;
        size_t n;
        int r;

        r = service_read_script(s->slug, &content, &n);
        if (r < 0)
                return bus_read_failed(SSI_SCRIPT_DIR, r, error);
        if (strlen(content) != n || !utf8_is_valid(content, n))
                return sd_bus_error_setf(error, AGENT_ERROR_INVALID_SCRIPT,
                                         SSI_SCRIPT_DIR
                                         "/%s was edited and is no longer valid UTF-8; install it again (--replace).",
                                         s->slug);
        return sd_bus_reply_method_return(message, "s", content);
}

/* Open to everyone, because it contains statuses and execution errors, but no output. */
static int method_get_history(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const Service *s = userdata;
        uint32_t limit;
        int r;

        r = sd_bus_message_read(message, "u", &limit);
        if (r < 0)
                return r;
        return bus_answered_elsewhere(run_history_start(s->agent, message, s, limit, error));
}

static int method_run(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        bool privileged = false;
        Service *s = userdata;
        int r;

        r = authorize_run(message, s, ACTION_RUN, &privileged, error);
        if (r <= 0)
                return bus_answered_elsewhere(r);
        return bus_answered_elsewhere(run_start_for(s->agent, s->unit, privileged, message));
}

#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define FIXED SD_BUS_VTABLE_PROPERTY_CONST

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", NULL, offsetof(Service, slug), FIXED),
        SD_BUS_PROPERTY("Title", "s", NULL, offsetof(Service, title), EMITS),
        SD_BUS_PROPERTY("Description", "s", NULL, offsetof(Service, metadata[METADATA_DESCRIPTION]), EMITS),
        SD_BUS_PROPERTY("ScriptVersion", "s", NULL, offsetof(Service, metadata[METADATA_VERSION]), EMITS),
        SD_BUS_PROPERTY("Metadata", "a{ss}", property_get_metadata, offsetof(Service, metadata), EMITS),
        SD_BUS_PROPERTY("Schedule", "s", NULL, offsetof(Service, schedule), EMITS),
        SD_BUS_PROPERTY("TimeoutUSec", "t", NULL, offsetof(Service, timeout_usec), EMITS),
        SD_BUS_PROPERTY("Unit", "s", NULL, offsetof(Service, unit), FIXED),
        SD_BUS_PROPERTY("User", "s", NULL, offsetof(Service, user), EMITS),
        SD_BUS_PROPERTY("Labels", "as", property_get_words, offsetof(Service, labels), EMITS),
        SD_BUS_PROPERTY("Watches", "as", property_get_words, offsetof(Service, watches), EMITS),
        SD_BUS_PROPERTY("DependsOn", "as", property_get_words, offsetof(Service, depends_on), EMITS),
        SD_BUS_PROPERTY("Enabled", "b", NULL, offsetof(Service, enabled), EMITS),
        SD_BUS_PROPERTY("Status", "s", property_get_status, offsetof(Service, status), EMITS),
        SD_BUS_PROPERTY("Message", "s", NULL, offsetof(Service, message), EMITS),
        SD_BUS_PROPERTY("StatusTimestampUSec", "t", NULL, offsetof(Service, status_timestamp), EMITS),
        SD_BUS_PROPERTY("LastRunUSec", "t", NULL, offsetof(Service, last_run), EMITS),
        SD_BUS_PROPERTY("LastRunInvocationID", "s", property_get_id, offsetof(Service, last_run_invocation), EMITS),
        SD_BUS_PROPERTY("LastRunResult", "s", NULL, offsetof(Service, last_run_result), EMITS),
        SD_BUS_PROPERTY("LastRunDetail", "s", NULL, offsetof(Service, last_run_detail), EMITS),
        SD_BUS_PROPERTY("LastRunDurationUSec", "t", NULL, offsetof(Service, last_run_duration), EMITS),
        SD_BUS_PROPERTY("LastRunCPUUSec", "t", NULL, offsetof(Service, last_run_cpu), EMITS),
        SD_BUS_PROPERTY("LastRunMemoryPeakBytes", "t", NULL, offsetof(Service, last_run_memory_peak), EMITS),
        SD_BUS_PROPERTY("NextRunUSec", "t", NULL, offsetof(Service, next_run), EMITS),
        SD_BUS_METHOD_WITH_ARGS("Run", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", invocation_id), method_run,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Enable", NULL, NULL, method_enable, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Disable", NULL, NULL, method_disable, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Remove", NULL, NULL, method_remove, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetScript", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", content), method_get_script,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetHistory", SD_BUS_ARGS("u", limit), SD_BUS_RESULT("a(tssssts)", runs),
                                method_get_history, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("StatusChanged",
                                SD_BUS_ARGS("s", old_status, "s", new_status, "s", message, "t", timestamp_usec), 0),
        SD_BUS_VTABLE_END,
};

static int find_service(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                        sd_bus_error *error)
{
        _cleanup_free_ char *slug = NULL;
        Agent *a = userdata;
        Service *s;
        int r;

        r = sd_bus_path_decode(path, AGENT_SERVICE_PATH, &slug);
        if (r <= 0)
                return r;
        HASH_FIND_STR(a->services, slug, s);
        if (!s)
                return 0;
        *ret = s;
        return 1;
}

static int enumerate_services(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *error)
{
        Agent *a = userdata;
        Service *s, *tmp;
        size_t i = 0;
        char **nodes;

        nodes = calloc(a->n_services + 1, sizeof(*nodes));
        if (!nodes)
                return -ENOMEM;
        HASH_ITER(hh, a->services, s, tmp) {
                nodes[i] = strdup(s->path);
                if (!nodes[i]) {
                        while (i > 0)
                                free(nodes[--i]);
                        free(nodes);
                        return -ENOMEM;
                }
                i++;
        }
        *ret_nodes = nodes;
        return 0;
}

int service_bus_setup(Agent *a)
{
        int r;

        r = sd_bus_add_fallback_vtable(a->bus, NULL, AGENT_SERVICE_PATH, AGENT_SERVICE_INTERFACE, service_vtable,
                                       find_service, a);
        if (r < 0)
                return r;
        return sd_bus_add_node_enumerator(a->bus, NULL, AGENT_SERVICE_PATH, enumerate_services, a);
}

int service_emit_changes(Service *s)
{
        const char *names[_SERVICE_PROPERTY_MAX + 1];
        size_t n = 0;

        for (ServiceProperty p = 0; p < _SERVICE_PROPERTY_MAX; p++)
                if (s->dirty & UINT32_C(1) << p)
                        names[n++] = property_names[p];
        names[n] = NULL;
        s->dirty = 0;
        if (n == 0)
                return 0;
        return sd_bus_emit_properties_changed_strv(s->agent->bus, s->path, AGENT_SERVICE_INTERFACE, (char **) names);
}

int service_emit_status_changed(Service *s, Status old)
{
        return sd_bus_emit_signal(s->agent->bus, s->path, AGENT_SERVICE_INTERFACE, "StatusChanged", "ssst",
                                  strempty(status_to_string(old)), strempty(status_to_string(s->status)), s->message,
                                  s->status_timestamp);
}
