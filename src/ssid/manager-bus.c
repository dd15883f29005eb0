/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-bus.h>

#include "shared/bus-util.h"
#include "journal-log.h"
#include "log-follow.h"
#include "manager.h"
#include "operation.h"
#include "run-follow.h"
#include "service-bus.h"
#include "shared/slug.h"

#define LOG_LINES_MAX 1000U

static int no_such_service(const char *name, sd_bus_error *error)
{
        _cleanup_free_ char *quoted = bus_quote(name);

        if (!quoted)
                return -ENOMEM;
        return sd_bus_error_setf(error, AGENT_ERROR_NO_SUCH_SERVICE,
                                 "No service %s is installed; \"ssictl list\" shows those that are.", quoted);
}

static int find_service(Manager *m, const char *name, Service **ret, sd_bus_error *error)
{
        Service *s = service_find(&m->agent, name);

        if (!s)
                return no_such_service(name, error);
        *ret = s;
        return 0;
}

/* ---- RemoveService ---- */

static int method_remove_service(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        const char *name;
        const Service *s;
        int r;

        r = bus_begin(message, ACTION_MANAGE, m->agent.polkit, error, "s", &name);
        if (r != 0)
                return r;
        s = service_find(&m->agent, name);
        if (!s && (!slug_is_valid(name) || !service_has_rest(name)))
                return no_such_service(name, error);
        return bus_answered_elsewhere(operation_remove(&m->agent, message, s ? s->slug : name, error));
}

/* ---- Reading ---- */

static int method_get_service(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        const char *name;
        Service *s = NULL;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        r = find_service(m, name, &s, error);
        if (r < 0)
                return r;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): set when r >= 0 */
        return sd_bus_reply_method_return(message, "o", s->path);
}

static int method_list_services(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Manager *m = userdata;
        Service *s, *tmp;
        int r;

        r = sd_bus_message_new_method_return(message, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(sssstsstbo)");
        if (r < 0)
                return r;
        HASH_ITER(hh, m->agent.services, s, tmp) {
                r = sd_bus_message_append(reply, "(sssstsstbo)", s->slug, s->title,
                                          strempty(status_to_string(s->status)), s->message, s->status_timestamp,
                                          s->last_run_result, s->last_run_detail, s->next_run, s->enabled, s->path);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_message_send(reply);
}

/* Output other than the status may be meant only for administrators, just like the journal. */
static int method_get_log(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        Manager *m = userdata;
        const char *name;
        uint32_t limit;
        Service *s = NULL;
        int r;

        r = bus_begin(message, ACTION_READ_OUTPUT, m->agent.polkit, error, "su", &name, &limit);
        if (r != 0)
                return r;
        r = find_service(m, name, &s, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(message, &reply);
        if (r < 0)
                return r;
        limit = MIN(limit, LOG_LINES_MAX);
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): set when r >= 0 */
        r = journal_log_open(s->unit, &j);
        if (r >= 0)
                r = journal_log_seek_last(j, limit);
        if (r >= 0)
                r = journal_log_append(reply, j, limit);
        if (r < 0)
                return bus_read_failed("the journal", r, error);
        return sd_bus_message_send(reply);
}

typedef struct FollowOptions {
        uint32_t lines;
        const char *after;
} FollowOptions;

typedef struct RunOptions {
        const char *after;
        uint64_t since;
} RunOptions;

static int read_follow_option(sd_bus_message *m, const char *name, void *userdata)
{
        FollowOptions *o = userdata;

        if (streq(name, "lines"))
                return sd_bus_message_read(m, "v", "u", &o->lines);
        if (streq(name, "after"))
                return sd_bus_message_read(m, "v", "s", &o->after);
        return -ENOENT;
}

static int method_follow_log(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        FollowOptions options = {};
        Manager *m = userdata;
        const char *name;
        Service *s = NULL;
        uint32_t id;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        r = bus_read_options(message, read_follow_option, &options, AGENT_ERROR_INVALID_OPTION, error);
        if (r < 0)
                return r;
        r = bus_begin(message, ACTION_READ_OUTPUT, m->agent.polkit, error, "");
        if (r != 0)
                return r;
        r = find_service(m, name, &s, error);
        if (r < 0)
                return r;
        r = log_follow_new(&m->agent, message, s, MIN(options.lines, LOG_LINES_MAX), options.after, &id, error);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(message, "u", id);
}

/* A function of log-follow.h or run-follow.h for what the caller follows. */
typedef int (*followed_t)(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error);

static int read_followed(sd_bus_message *message, Manager *m, followed_t read, sd_bus_error *error)
{
        uint32_t id;
        int r;

        r = sd_bus_message_read(message, "u", &id);
        return r < 0 ? r : bus_answered_elsewhere(read(&m->agent, message, id, error));
}

static int end_followed(sd_bus_message *message, Manager *m, followed_t end, sd_bus_error *error)
{
        uint32_t id;
        int r;

        r = sd_bus_message_read(message, "u", &id);
        if (r >= 0)
                r = end(&m->agent, message, id, error);
        return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
}

static int method_read_log(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return read_followed(message, userdata, log_follow_read, error);
}

static int method_unfollow_log(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return end_followed(message, userdata, log_follow_end, error);
}

static int read_run_option(sd_bus_message *m, const char *name, void *userdata)
{
        RunOptions *o = userdata;

        if (streq(name, "after"))
                return sd_bus_message_read(m, "v", "s", &o->after);
        if (streq(name, "since"))
                return sd_bus_message_read(m, "v", "t", &o->since);
        return -ENOENT;
}

static int method_follow_runs(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        RunOptions options = {};
        Manager *m = userdata;
        uint32_t id;
        int r;

        r = bus_read_options(message, read_run_option, &options, AGENT_ERROR_INVALID_OPTION, error);
        if (r < 0)
                return r;
        r = run_follow_new(&m->agent, message, options.after, options.since, &id, error);
        return r < 0 ? r : sd_bus_reply_method_return(message, "u", id);
}

static int method_read_runs(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return read_followed(message, userdata, run_follow_read, error);
}

static int method_unfollow_runs(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return end_followed(message, userdata, run_follow_end, error);
}

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        int r;

        r = bus_begin(message, ACTION_MANAGE, m->agent.polkit, error, "");
        if (r != 0)
                return r;
        r = manager_rescan(m);
        if (r < 0)
                return bus_read_failed(SSI_UNIT_DIR, r, error);
        operation_check_zone(&m->agent);
        return sd_bus_reply_method_return(message, NULL);
}

BUS_GETTER(property_get_version)
{
        return sd_bus_message_append(reply, "s", SSI_VERSION);
}

BUS_GETTER(property_get_overall)
{
        const Manager *m = userdata;

        return sd_bus_message_append(reply, "s", strempty(status_to_string(m->overall)));
}

BUS_GETTER(property_get_counts)
{
        const Manager *m = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{su}");
        if (r < 0)
                return r;
        for (Status i = 0; i < _STATUS_MAX; i++) {
                r = sd_bus_message_append(reply, "{su}", status_to_string(i), m->counts[i]);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", property_get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("OverallStatus", "s", property_get_overall, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("StatusCounts", "a{su}", property_get_counts, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ShuttingDown", "b", NULL, offsetof(Manager, shutting_down),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("ValidateScript", SD_BUS_ARGS("s", filename, "s", content),
                                SD_BUS_RESULT("b", valid, "a(uss)", problems, "a{sv}", metadata),
                                manager_method_validate_script, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("TestScript", SD_BUS_ARGS("s", filename, "s", content),
                                SD_BUS_RESULT("s", status, "s", message, "a{sv}", run), manager_method_test_script,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AddService", SD_BUS_ARGS("s", filename, "s", content, "a{sv}", options),
                                SD_BUS_RESULT("o", service, "s", change, "s", invocation_id, "a(uss)", problems),
                                manager_method_add_service, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveService", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, method_remove_service,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetService", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", service), method_get_service,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListServices", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssstsstbo)", services),
                                method_list_services, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetLog", SD_BUS_ARGS("s", name, "u", limit), SD_BUS_RESULT("a(tss)", lines),
                                method_get_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("FollowLog", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_RESULT("u", id),
                                method_follow_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReadLog", SD_BUS_ARGS("u", id), SD_BUS_RESULT("a(tss)", lines, "s", cursor),
                                method_read_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("UnfollowLog", SD_BUS_ARGS("u", id), SD_BUS_NO_RESULT, method_unfollow_log,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("FollowRuns", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("u", id), method_follow_runs,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReadRuns", SD_BUS_ARGS("u", id),
                                SD_BUS_RESULT("a(ssayssssttttbb)", runs, "a{sv}", notes), method_read_runs,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("UnfollowRuns", SD_BUS_ARGS("u", id), SD_BUS_NO_RESULT, method_unfollow_runs,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("StatusReported",
                                SD_BUS_ARGS("s", name, "s", status, "s", message, "t", timestamp_usec), 0),
        SD_BUS_VTABLE_END,
};

int manager_bus_setup(Manager *m)
{
        int r;

        r = sd_bus_add_object_vtable(m->agent.bus, NULL, AGENT_PATH, AGENT_MANAGER_INTERFACE, manager_vtable, m);
        if (r < 0)
                return r;
        r = sd_bus_add_object_manager(m->agent.bus, NULL, AGENT_PATH);
        if (r < 0)
                return r;
        return service_bus_setup(&m->agent);
}

int manager_emit_status_reported(Manager *m, const Service *s)
{
        return sd_bus_emit_signal(m->agent.bus, AGENT_PATH, AGENT_MANAGER_INTERFACE, "StatusReported", "ssst", s->slug,
                                  strempty(status_to_string(s->status)), s->message, s->status_timestamp);
}

int manager_bus_emit(Manager *m)
{
        char *names[4] = {};
        Service *s, *tmp;
        size_t n = 0;
        int r;

        HASH_ITER(hh, m->agent.services, s, tmp) {
                r = service_emit_changes(s);
                if (r < 0)
                        return r;
        }
        if (m->overall_dirty)
                names[n++] = (char *) "OverallStatus";
        if (m->counts_dirty)
                names[n++] = (char *) "StatusCounts";
        if (m->shutting_down_dirty)
                names[n++] = (char *) "ShuttingDown";
        m->overall_dirty = m->counts_dirty = m->shutting_down_dirty = false;
        return n == 0 ? 0 :
                        sd_bus_emit_properties_changed_strv(m->agent.bus, AGENT_PATH, AGENT_MANAGER_INTERFACE, names);
}
