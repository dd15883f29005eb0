/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>

#include "shared/bus-util.h"
#include "fileset.h"
#include "service.h"
#include "systemd-client.h"
#include "unit-file.h"
#include "shared/io-util.h"

Service *service_find(Agent *a, const char *name)
{
        _cleanup_free_ char *slug = NULL;
        Service *s;

        HASH_FIND_STR(a->services, name, s);
        if (s || slug_from_name(name, &slug) < 0)
                return s;
        HASH_FIND_STR(a->services, slug, s);
        /* Many names have this slug, even names with "../" or line breaks: accept only the service's own name. */
        return s && strcasecmp(s->title, name) == 0 ? s : NULL;
}

Service *service_free(Service *s)
{
        if (!s)
                return NULL;
        systemd_query_free(s->next_run_query);
        systemd_query_free(s->timeout_query);
        sd_event_source_disable_unref(s->trigger);
        systemd_query_free(s->trigger_query);
        systemd_query_free(s->cpu_query);
        systemd_query_free(s->memory_peak_query);
        free(s->slug);
        free(s->path);
        free(s->unit);
        free(s->timer);
        free(s->title);
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++)
                free(s->metadata[k]);
        free(s->schedule);
        free(s->user);
        free(s->labels);
        free(s->watches);
        free(s->depends_on);
        free(s->message);
        free(s->last_run_detail);
        free(s);
        return NULL;
}

static int read_file(const char *dir, const char *name, size_t max, char **ret, size_t *ret_n)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (asprintf(&path, "%s/%s", dir, name) < 0)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return errno == ELOOP ? -ENOENT : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOENT;
        /* If the file grows during the read, the change is noticed, and the file is read again. */
        return read_at_most(fd, MIN(max, (size_t) st.st_size), ret, ret_n);
}

int service_read_script(const char *slug, char **ret, size_t *ret_n)
{
        return read_file(SSI_SCRIPT_DIR, slug, SCRIPT_SIZE_MAX, ret, ret_n);
}

static int service_new(Agent *a, const char *slug, Service **ret)
{
        _cleanup_(service_freep) Service *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->agent = a;
        s->status = _STATUS_INVALID;
        s->last_run_duration = USEC_INFINITY;
        s->last_run_cpu = s->last_run_memory_peak = UINT64_MAX;
        s->last_run_result = "";
        s->slug = strdup(slug);
        s->unit = slug_to_unit(slug, ".service");
        s->timer = slug_to_unit(slug, ".timer");
        s->message = strdup("");
        s->last_run_detail = strdup("");
        s->depends_on = strdup("");
        if (!s->slug || !s->unit || !s->timer || !s->message || !s->last_run_detail || !s->depends_on)
                return -ENOMEM;
        r = sd_bus_path_encode(AGENT_SERVICE_PATH, slug, &s->path);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

static int take_value(Metadata *m, MetadataKey k, const char *fallback, char **ret)
{
        *ret = m->value[k] ? TAKE_PTR(m->value[k]) : strdup(fallback);
        return *ret ? 0 : -ENOMEM;
}

/* If the header was edited by hand and AddService would now refuse it, shows what can be read. */
static int load_header(Service *s)
{
        _cleanup_(metadata_freep) Metadata *m = NULL;
        _cleanup_free_ char *content = NULL;
        size_t n;
        int r;

        r = service_read_script(s->slug, &content, &n);
        if (r < 0)
                return r;
        /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): set when r >= 0 */
        r = metadata_parse(content, n, &m);
        if (r < 0)
                return r;
        if ((r = take_value(m, METADATA_NAME, s->slug, &s->title)) < 0 ||
            (r = take_value(m, METADATA_SCHEDULE, "", &s->schedule)) < 0 ||
            (r = take_value(m, METADATA_USER, "", &s->user)) < 0 ||
            (r = take_value(m, METADATA_LABELS, "", &s->labels)) < 0 ||
            (r = take_value(m, METADATA_WATCHES, "", &s->watches)) < 0)
                return r;
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++)
                if (metadata_key_is_passive(k))
                        s->metadata[k] = TAKE_PTR(m->value[k]);
        return 0;
}

int unit_file_read(const char *unit, size_t max, char **ret)
{
        return read_file(SSI_UNIT_DIR, unit, max, ret, NULL);
}

UnitFileOwner unit_file_find(const char *unit)
{
        _cleanup_free_ char *path = NULL, *content = NULL;
        struct stat st;
        int r;

        if (asprintf(&path, SSI_UNIT_DIR "/%s", unit) >= 0 && lstat(path, &st) < 0 && errno == ENOENT)
                return UNIT_FILE_NONE;
        r = unit_file_read(unit, strlen(UNIT_FILE_MARK), &content);
        return r >= 0 && streq(content, UNIT_FILE_MARK) ? UNIT_FILE_OURS : UNIT_FILE_FOREIGN;
}

bool service_has_rest(const char *slug)
{
        _cleanup_free_ char *unit = slug_to_unit(slug, ".service"), *timer = slug_to_unit(slug, ".timer");

        return (unit && unit_file_find(unit) == UNIT_FILE_OURS) || (timer && unit_file_find(timer) == UNIT_FILE_OURS);
}

/* The unit file must be one that ssid wrote: for example, ssi-serverd.service is not a service-script's. */
static int load_unit(Service *s)
{
        _cleanup_free_ char *content = NULL;
        const char *timeout;
        int r;

        r = unit_file_read(s->unit, UNIT_FILE_SIZE_MAX, &content);
        if (r < 0)
                return r;
        if (!startswith(content, UNIT_FILE_MARK))
                return -ENOENT;
        /* Used until systemd has answered. */
        timeout = strstr(content, "\nTimeoutStartSec=");
        if (!timeout || sscanf(timeout, "\nTimeoutStartSec=%" SCNu64 "us", &s->timeout_usec) != 1)
                s->timeout_usec = USEC_INFINITY;
        return 0;
}

int service_load(Agent *a, const char *slug, Service **ret)
{
        _cleanup_(service_freep) Service *s = NULL;
        int r;

        if (!slug_is_valid(slug))
                return -ENOENT;
        r = service_new(a, slug, &s);
        if (r < 0)
                return r;
        r = load_unit(s);
        if (r < 0)
                return r;
        r = load_header(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

void service_mark(Service *s, ServiceProperty p)
{
        s->dirty |= UINT32_C(1) << p;
        s->agent->ops->changed(s->agent);
}

static void take_string(Service *s, ServiceProperty p, char **mine, char **other)
{
        char *old = *mine;

        if (streq_ptr(*mine, *other))
                return;
        *mine = *other;
        *other = old;
        service_mark(s, p);
}

static void take_metadata(Service *s, MetadataKey k, Service *other)
{
        if (!streq_ptr(s->metadata[k], other->metadata[k])) {
                if (k == METADATA_DESCRIPTION)
                        service_mark(s, SERVICE_DESCRIPTION);
                if (k == METADATA_VERSION)
                        service_mark(s, SERVICE_SCRIPT_VERSION);
        }
        take_string(s, SERVICE_METADATA, &s->metadata[k], &other->metadata[k]);
}

void service_update(Service *s, Service *other)
{
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++)
                take_metadata(s, k, other);
        take_string(s, SERVICE_TITLE, &s->title, &other->title);
        take_string(s, SERVICE_SCHEDULE, &s->schedule, &other->schedule);
        take_string(s, SERVICE_USER, &s->user, &other->user);
        take_string(s, SERVICE_LABELS, &s->labels, &other->labels);
        take_string(s, SERVICE_WATCHES, &s->watches, &other->watches);
}

static void set_usec(Service *s, ServiceProperty p, uint64_t *field, uint64_t value)
{
        if (*field == value)
                return;
        *field = value;
        service_mark(s, p);
}

static int set_string(Service *s, ServiceProperty p, char **field, const char *value)
{
        int r = free_and_strdup(field, value);

        if (r > 0)
                service_mark(s, p);
        return r;
}

static int apply_result(Service *s, const RunEvent *e, bool announce)
{
        Agent *a = s->agent;
        Status old = s->status;
        int r;

        r = set_string(s, SERVICE_MESSAGE, &s->message, e->message);
        if (r < 0)
                return r;
        set_usec(s, SERVICE_STATUS_TIMESTAMP, &s->status_timestamp, e->timestamp);
        if (e->status != old) {
                s->status = e->status;
                service_mark(s, SERVICE_STATUS);
                a->ops->status_changed(a);
        }
        return announce ? a->ops->reported(a, s, old) : 0;
}

/* ---- What the last run cost ---- */

static int on_cpu(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Service *s = userdata;
        uint64_t nsec = UINT64_MAX;

        s->cpu_query = systemd_query_free(s->cpu_query);
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "t", &nsec);
        set_usec(s, SERVICE_LAST_RUN_CPU, &s->last_run_cpu, nsec == UINT64_MAX ? nsec : nsec / 1000);
        return 0;
}

static int on_memory_peak(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Service *s = userdata;
        uint64_t bytes = UINT64_MAX;

        s->memory_peak_query = systemd_query_free(s->memory_peak_query);
        if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_UNKNOWN_PROPERTY))
                s->agent->no_memory_peak = true;
        else if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "t", &bytes);
        set_usec(s, SERVICE_LAST_RUN_MEMORY_PEAK, &s->last_run_memory_peak, bytes);
        return 0;
}

/* systemd keeps both values after the run, because the timer keeps the unit loaded. */
static int query_cost(Service *s)
{
        const char *interface = "org.freedesktop.systemd1.Service";
        SystemdQueries *q = s->agent->queries;
        int r;

        s->cpu_query = systemd_query_free(s->cpu_query);
        r = systemd_query_unit_property(q, s->unit, interface, "CPUUsageNSec", on_cpu, s, &s->cpu_query);
        if (r < 0 || s->agent->no_memory_peak)
                return r;
        s->memory_peak_query = systemd_query_free(s->memory_peak_query);
        return systemd_query_unit_property(q, s->unit, interface, "MemoryPeak", on_memory_peak, s,
                                           &s->memory_peak_query);
}

int service_apply_run(Service *s, const RunEvent *e, bool announce)
{
        const char *result = e->error == RUN_ERROR_NONE ? "success" : run_error_kind_to_string(e->error);
        int r;

        set_usec(s, SERVICE_LAST_RUN, &s->last_run, e->started ?: e->ended ?: e->timestamp);
        set_usec(s, SERVICE_LAST_RUN_DURATION, &s->last_run_duration, e->duration);
        if (!sd_id128_equal(s->last_run_invocation, e->invocation_id)) {
                s->last_run_invocation = e->invocation_id;
                service_mark(s, SERVICE_LAST_RUN_INVOCATION);
        }
        if (!streq(s->last_run_result, result)) {
                s->last_run_result = result;
                service_mark(s, SERVICE_LAST_RUN_RESULT);
        }
        r = set_string(s, SERVICE_LAST_RUN_DETAIL, &s->last_run_detail, strempty(e->detail));
        if (r < 0)
                return r;
        if (announce && !e->correction) {
                r = query_cost(s);
                if (r >= 0)
                        r = s->agent->ops->run_ended(s->agent, s);
                if (r < 0)
                        return r;
        }
        return e->error == RUN_ERROR_NONE ? apply_result(s, e, announce) : 0;
}

void service_set_enabled(Service *s, bool enabled)
{
        if (s->enabled == enabled)
                return;
        s->enabled = enabled;
        service_mark(s, SERVICE_ENABLED);
}

void service_set_next_run(Service *s, uint64_t usec)
{
        set_usec(s, SERVICE_NEXT_RUN, &s->next_run, usec == USEC_INFINITY ? 0 : usec);
}

void service_set_timeout(Service *s, uint64_t usec)
{
        if (usec > 0)
                set_usec(s, SERVICE_TIMEOUT, &s->timeout_usec, usec);
}

int service_set_depends_on(Service *s, const char *list)
{
        return set_string(s, SERVICE_DEPENDS_ON, &s->depends_on, list);
}

static int on_next_run(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Service *s = userdata;
        uint64_t usec;

        s->next_run_query = systemd_query_free(s->next_run_query);
        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "v", "t", &usec) >= 0)
                service_set_next_run(s, usec);
        return 0;
}

static int on_timeout(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Service *s = userdata;
        uint64_t usec;

        s->timeout_query = systemd_query_free(s->timeout_query);
        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "v", "t", &usec) >= 0)
                service_set_timeout(s, usec);
        return 0;
}

int service_query_next_run(Service *s)
{
        s->next_run_query = systemd_query_free(s->next_run_query);
        return systemd_query_unit_property(s->agent->queries, s->timer, "org.freedesktop.systemd1.Timer",
                                           "NextElapseUSecRealtime", on_next_run, s, &s->next_run_query);
}

int service_query_units(Service *s)
{
        int r;

        r = service_query_next_run(s);
        if (r < 0)
                return r;
        s->timeout_query = systemd_query_free(s->timeout_query);
        return systemd_query_unit_property(s->agent->queries, s->unit, "org.freedesktop.systemd1.Service",
                                           "TimeoutStartUSec", on_timeout, s, &s->timeout_query);
}
