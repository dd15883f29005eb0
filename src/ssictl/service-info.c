/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service-info.h"
#include "bus-json.h"
#include "shared/status.h"
#include "shared/status-line.h"
#include "shared/time-util.h"

void service_info_done(ServiceInfo *i)
{
        free(i->path);
        free(i->name);
        free(i->title);
        json_object_put(i->metadata);
        free(i->schedule);
        free(i->unit);
        free(i->user);
        free(i->status);
        free(i->message);
        free(i->last_run_result);
        free(i->last_run_detail);
        free(i->last_run_invocation);
        *i = (ServiceInfo){};
}

static int read_metadata(sd_bus_message *m, json_object **ret)
{
        json_object *o;
        int r;

        r = bus_read_json(m, &o);
        if (r < 0)
                return r;
        json_object_put(*ret);
        *ret = o;
        return 0;
}

static int read_property(sd_bus_message *m, const char *name, ServiceInfo *i)
{
        const struct {
                const char *name;
                char type;
                void *field;
        } properties[] = {
                { "Name", 's', &i->name },
                { "Title", 's', &i->title },
                { "Schedule", 's', &i->schedule },
                { "Unit", 's', &i->unit },
                { "User", 's', &i->user },
                { "Status", 's', &i->status },
                { "Message", 's', &i->message },
                { "LastRunInvocationID", 's', &i->last_run_invocation },
                { "LastRunResult", 's', &i->last_run_result },
                { "LastRunDetail", 's', &i->last_run_detail },
                { "Enabled", 'b', &i->enabled },
                { "TimeoutUSec", 't', &i->timeout_usec },
                { "StatusTimestampUSec", 't', &i->status_timestamp },
                { "LastRunUSec", 't', &i->last_run },
                { "LastRunDurationUSec", 't', &i->last_run_duration },
                { "LastRunCPUUSec", 't', &i->last_run_cpu },
                { "LastRunMemoryPeakBytes", 't', &i->last_run_memory },
                { "NextRunUSec", 't', &i->next_run },
        };

        for (size_t k = 0; k < ELEMENTSOF(properties); k++) {
                const char type[] = { properties[k].type, '\0' };
                const char *s;
                int r;

                if (!streq(properties[k].name, name))
                        continue;
                if (properties[k].type != 's')
                        return sd_bus_message_read(m, "v", type, properties[k].field);
                r = sd_bus_message_read(m, "v", "s", &s);
                return r < 0 ? r : free_and_strdup(properties[k].field, s);
        }
        return streq(name, "Metadata") ? read_metadata(m, &i->metadata) : sd_bus_message_skip(m, "v");
}

int service_info_read(sd_bus_message *m, ServiceInfo *i)
{
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                if ((r = sd_bus_message_read(m, "s", &name)) < 0 || (r = read_property(m, name, i)) < 0 ||
                    (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

bool service_info_has_error(const ServiceInfo *i)
{
        return !isempty(i->last_run_result) && !streq(i->last_run_result, "success");
}

const char *service_info_state(const ServiceInfo *i)
{
        if (!isempty(i->status))
                return i->status;
        return service_info_has_error(i) ? "error" : "-";
}

bool service_info_is_bad(const ServiceInfo *i)
{
        return service_info_has_error(i) || status_from_string(strempty(i->status)) >= STATUS_WARNING;
}

char *service_info_next(const ServiceInfo *i, char buf[static 64])
{
        if (!i->enabled)
                return strcpy(buf, "disabled");
        /* A timer has no next time while a run that it started is under way. */
        if (i->next_run == 0)
                return strcpy(buf, "running");
        return i->next_run > now_usec(CLOCK_REALTIME) ? ctl_relative_time(i->next_run, buf) : strcpy(buf, "now");
}

static int add_text(json_object *o, const char *key, const char *value)
{
        return json_add_string(o, key, isempty(value) ? NULL : value);
}

static int add_time(json_object *o, const char *key, uint64_t usec)
{
        char buf[RFC3339_MAX];

        return json_add_string(o, key, usec == 0 || usec == USEC_INFINITY ? NULL : format_rfc3339(usec, buf));
}

static int add_msec(json_object *o, const char *key, uint64_t usec)
{
        if (usec == USEC_INFINITY)
                return json_add_string(o, key, NULL);
        return json_add_int64(o, key, (int64_t) (usec / USEC_PER_MSEC));
}

static int add_bytes(json_object *o, const char *key, uint64_t bytes)
{
        return bytes == UINT64_MAX ? json_add_string(o, key, NULL) : json_add_int64(o, key, (int64_t) bytes);
}

/* An older agent lacks the property. */
static uint64_t known(uint64_t cost)
{
        return cost == 0 ? UINT64_MAX : cost;
}

static int add_metadata(json_object *o, const ServiceInfo *i)
{
        return json_add_take(o, "metadata", i->metadata ? json_object_get(i->metadata) : json_object_new_object());
}

json_object *service_info_to_json(const ServiceInfo *i)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || add_text(o, "name", i->name) < 0 || add_text(o, "title", i->title) < 0 || add_metadata(o, i) < 0 ||
            add_text(o, "schedule", i->schedule) < 0 || add_msec(o, "timeout_ms", i->timeout_usec) < 0 ||
            add_text(o, "unit", i->unit) < 0 || add_text(o, "user", i->user) < 0 ||
            json_add_bool(o, "enabled", i->enabled) < 0 || add_text(o, "status", i->status) < 0 ||
            add_text(o, "message", i->message) < 0 || add_time(o, "status_at", i->status_timestamp) < 0 ||
            add_time(o, "last_run", i->last_run) < 0 || add_text(o, "last_run_result", i->last_run_result) < 0 ||
            add_text(o, "last_run_detail", i->last_run_detail) < 0 ||
            add_msec(o, "duration_ms", i->last_run_duration) < 0 || add_msec(o, "cpu_ms", known(i->last_run_cpu)) < 0 ||
            add_bytes(o, "memory_peak_bytes", known(i->last_run_memory)) < 0 ||
            add_time(o, "next_run", i->next_run) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static int get_service_info(Ctl *c, const char *path, bool start, ServiceInfo *ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        ServiceInfo i = {};
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, AGENT_BUS_NAME, path, "org.freedesktop.DBus.Properties",
                                           "GetAll");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, start);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", AGENT_SERVICE_INTERFACE);
        if (r >= 0)
                r = sd_bus_call(c->bus, m, 0, error, &reply);
        if (r < 0)
                return r;
        i.path = strdup(path);
        r = i.path ? service_info_read(reply, &i) : -ENOMEM;
        if (r < 0) {
                service_info_done(&i);
                return r;
        }
        *ret = i;
        return 0;
}

int ctl_try_get_service_info(Ctl *c, const char *path, ServiceInfo *ret, sd_bus_error *error)
{
        return get_service_info(c, path, false, ret, error);
}

int ctl_get_service_info(Ctl *c, const char *path, ServiceInfo *ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = ctl_bus(c);
        if (r < 0)
                return r;
        r = get_service_info(c, path, true, ret, &error);
        return r < 0 ? ctl_bus_error(&error, r) : 0;
}
