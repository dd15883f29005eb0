#include "service-info.h"
#include "status.h"
#include "status-line.h"

void service_info_done(ServiceInfo *i)
{
        free(i->path);
        free(i->name);
        free(i->title);
        free(i->description);
        free(i->version);
        free(i->schedule);
        free(i->unit);
        free(i->user);
        free(i->status);
        free(i->message);
        free(i->last_run_result);
        free(i->last_run_detail);
        *i = (ServiceInfo){};
}

void service_infos_free(ServiceInfo *infos, size_t n)
{
        for (size_t k = 0; k < n; k++)
                service_info_done(infos + k);
        free(infos);
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
                { "Description", 's', &i->description },
                { "ScriptVersion", 's', &i->version },
                { "Schedule", 's', &i->schedule },
                { "Unit", 's', &i->unit },
                { "User", 's', &i->user },
                { "Status", 's', &i->status },
                { "Message", 's', &i->message },
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
        return sd_bus_message_skip(m, "v");
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
        /* A timer that has started a run tells its next time when that has ended. */
        if (i->next_run == 0)
                return strcpy(buf, "running");
        return i->next_run > ctl_now() ? ctl_relative_time(i->next_run, buf) : strcpy(buf, "now");
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

/* An older agent does not have the property. */
static uint64_t known(uint64_t cost)
{
        return cost == 0 ? UINT64_MAX : cost;
}

json_object *service_info_to_json(const ServiceInfo *i)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || add_text(o, "name", i->name) < 0 || add_text(o, "title", i->title) < 0 ||
            add_text(o, "description", i->description) < 0 || add_text(o, "version", i->version) < 0 ||
            add_text(o, "schedule", i->schedule) < 0 || add_msec(o, "timeout_ms", i->timeout_usec) < 0 ||
            add_text(o, "unit", i->unit) < 0 || add_text(o, "user", i->user) < 0 ||
            json_add_bool(o, "enabled", i->enabled) < 0 || add_text(o, "status", i->status) < 0 ||
            add_text(o, "message", i->message) < 0 || add_time(o, "status_at", i->status_timestamp) < 0 ||
            add_time(o, "last_run", i->last_run) < 0 || add_text(o, "last_run_result", i->last_run_result) < 0 ||
            add_text(o, "last_run_detail", i->last_run_detail) < 0 ||
            add_msec(o, "duration_ms", i->last_run_duration) < 0 || add_msec(o, "cpu_ms", known(i->last_run_cpu)) < 0 ||
            add_bytes(o, "memory_peak_bytes", known(i->last_run_memory)) < 0 || add_time(o, "next_run", i->next_run) < 0)
                return NULL;
        return TAKE_PTR(o);
}

json_object *service_infos_to_json(const ServiceInfo *infos, size_t n)
{
        json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < n; i++) {
                json_object *o = service_info_to_json(infos + i);

                if (!o || json_object_array_add(array, o) < 0) {
                        json_object_put(o);
                        json_object_put(array);
                        array = NULL;
                }
        }
        return array;
}

static int severity(const ServiceInfo *i)
{
        int status = isempty(i->status) ? -1 : (int) status_from_string(i->status);

        /* An execution error weighs like a warning: something wants a look. */
        return service_info_has_error(i) ? MAX(status, STATUS_WARNING) : status;
}

static int compare(const void *a, const void *b)
{
        const ServiceInfo *x = a, *y = b;
        int d = severity(y) - severity(x);

        return d != 0 ? d : strcmp(strempty(x->name), strempty(y->name));
}

/* One object of GetManagedObjects: {oa{sa{sv}}}, the path read already. */
static int read_interfaces(sd_bus_message *m, const char *path, ServiceInfo **infos, size_t *n)
{
        const char *interface;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                if (r < 0)
                        return r;
                if (streq(interface, AGENT_SERVICE_INTERFACE)) {
                        ServiceInfo *grown = reallocarray(*infos, *n + 1, sizeof(*grown));

                        if (!grown)
                                return -ENOMEM;
                        *infos = grown;
                        grown[*n] = (ServiceInfo){ .path = strdup(path) };
                        (*n)++;
                        r = service_info_read(m, grown + *n - 1);
                } else
                        r = sd_bus_message_skip(m, "a{sv}");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(sd_bus_message *m, ServiceInfo **infos, size_t *n)
{
        const char *path;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                if ((r = sd_bus_message_read(m, "o", &path)) < 0 || (r = read_interfaces(m, path, infos, n)) < 0 ||
                    (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        }
        return r;
}

int ctl_get_services(Ctl *c, ServiceInfo **ret, size_t *ret_n)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        ServiceInfo *infos = NULL;
        size_t n = 0;
        int r;

        r = ctl_new_call(
                c, &m, AGENT_BUS_NAME, AGENT_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
        if (r < 0)
                return r;
        r = ctl_call(c, m, &reply);
        if (r < 0)
                return r;
        r = read_objects(reply, &infos, &n);
        if (r < 0) {
                service_infos_free(infos, n);
                ctl_say_error("Cannot read the agent's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        if (n > 0)
                qsort(infos, n, sizeof(*infos), compare);
        *ret = infos;
        *ret_n = n;
        return 0;
}

int ctl_try_get_service_info(Ctl *c, const char *path, ServiceInfo *ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        ServiceInfo i = {};
        int r;

        r = sd_bus_call_method(
                c->bus,
                AGENT_BUS_NAME,
                path,
                "org.freedesktop.DBus.Properties",
                "GetAll",
                error,
                &reply,
                "s",
                AGENT_SERVICE_INTERFACE);
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

int ctl_get_service_info(Ctl *c, const char *path, ServiceInfo *ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = ctl_bus(c);
        if (r < 0)
                return r;
        r = ctl_try_get_service_info(c, path, ret, &error);
        return r < 0 ? ctl_bus_error(&error, r) : 0;
}
