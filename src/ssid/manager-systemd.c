#include "log.h"
#include "manager.h"
#include "operation.h"
#include "systemd-client.h"
#include "test-run.h"

#define TIMER_INTERFACE "org.freedesktop.systemd1.Timer"

/* ---- Enabled, next run ---- */

static int on_unit_files(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const char *path, *state;
        Manager *m = userdata;
        int r;

        m->unit_files_slot = sd_bus_slot_unref(m->unit_files_slot);
        if (m->unit_files_again)
                return manager_query_unit_files(m);
        if (sd_bus_message_is_method_error(reply, NULL))
                return 0;
        r = sd_bus_message_enter_container(reply, 'a', "(ss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ss)", &path, &state)) > 0) {
                _cleanup_free_ char *slug = NULL;
                const char *file = strrchr(path, '/'), *end;
                Service *s;

                file = file ? startswith(file + 1, "ssi-") : NULL;
                end = file ? endswith(file, ".timer") : NULL;
                if (!end)
                        continue;
                slug = strndup(file, (size_t) (end - file));
                if (!slug)
                        return -ENOMEM;
                HASH_FIND_STR(m->services, slug, s);
                if (s)
                        service_set_enabled(s, streq(state, "enabled") || streq(state, "enabled-runtime"));
        }
        return 0;
}

/* One at a time: the answer keeps systemd busy for long on a host with many units. */
int manager_query_unit_files(Manager *m)
{
        m->unit_files_again = m->unit_files_slot;
        if (m->unit_files_again)
                return 0;
        return systemd_call_async(
                m->bus, "ListUnitFilesByPatterns", on_unit_files, m, &m->unit_files_slot, "asas", 0, 1, "ssi-*.timer");
}

static int on_unit_files_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        int r = manager_query_unit_files(userdata);

        if (r < 0)
                log_warning_errno(r, "Cannot ask systemd for its unit files");
        return 0;
}

/* PropertiesChanged of any timer: the path tells whose. */
static int on_timer_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *unit = NULL, *slug = NULL;
        const char *rest, *end;
        Manager *m = userdata;
        const char *name;
        uint64_t usec;
        Service *s;

        if (sd_bus_path_decode(sd_bus_message_get_path(message), SYSTEMD_UNIT_PATH, &unit) <= 0)
                return 0;
        rest = startswith(unit, "ssi-");
        end = rest ? endswith(rest, ".timer") : NULL;
        if (!end)
                return 0;
        slug = strndup(rest, (size_t) (end - rest));
        if (!slug)
                return -ENOMEM;
        HASH_FIND_STR(m->services, slug, s);
        if (!s || sd_bus_message_skip(message, "s") < 0 || sd_bus_message_enter_container(message, 'a', "{sv}") < 0)
                return 0;
        while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
                if (sd_bus_message_read(message, "s", &name) < 0)
                        return 0;
                if (streq(name, "NextElapseUSecRealtime") && sd_bus_message_read(message, "v", "t", &usec) >= 0)
                        service_set_next_run(s, usec);
                else if (sd_bus_message_skip(message, "v") < 0)
                        return 0;
                if (sd_bus_message_exit_container(message) < 0)
                        return 0;
        }
        return 0;
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *job, *result;

        if (sd_bus_message_read(message, "uoss", NULL, &job, NULL, &result) >= 0) {
                operation_job_removed(userdata, job, result);
                test_runs_job_removed(userdata, job);
        }
        return 0;
}

static int on_installed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(message);

        if (e)
                log_warning("Cannot listen to systemd, next runs will not be shown: %s", e->message);
        return 0;
}

/* ---- logind ---- */

static void set_shutting_down(Manager *m, int value)
{
        if (m->shutting_down == value)
                return;
        m->shutting_down = value;
        m->shutting_down_dirty = true;
        manager_queue_emit(m);
}

static int on_prepare_for_shutdown(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        int active;

        if (sd_bus_message_read(message, "b", &active) >= 0)
                set_shutting_down(userdata, active);
        return 0;
}

static int on_preparing(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        int active;

        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "v", "b", &active) >= 0)
                set_shutting_down(userdata, active);
        return 0;
}

/* logind need not be there: it is not started for this. */
static int watch_logind(Manager *m)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = sd_bus_match_signal_async(
                m->bus,
                NULL,
                "org.freedesktop.login1",
                "/org/freedesktop/login1",
                "org.freedesktop.login1.Manager",
                "PrepareForShutdown",
                on_prepare_for_shutdown,
                NULL,
                m);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(
                m->bus,
                &call,
                "org.freedesktop.login1",
                "/org/freedesktop/login1",
                "org.freedesktop.DBus.Properties",
                "Get");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(call, false);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "ss", "org.freedesktop.login1.Manager", "PreparingForShutdown");
        if (r < 0)
                return r;
        r = sd_bus_call_async(m->bus, NULL, call, on_preparing, m, 0);
        return MIN(r, 0);
}

/* ---- Listening ---- */

int manager_watch_systemd(Manager *m)
{
        static const struct {
                const char *signal;
                sd_bus_message_handler_t handler;
        } signals[] = {
                { "UnitFilesChanged", on_unit_files_changed },
                { "JobRemoved", on_job_removed },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_bus_match_signal_async(
                        m->bus,
                        NULL,
                        "org.freedesktop.systemd1",
                        "/org/freedesktop/systemd1",
                        "org.freedesktop.systemd1.Manager",
                        signals[i].signal,
                        signals[i].handler,
                        on_installed,
                        m);
                if (r < 0)
                        return r;
        }
        r = sd_bus_add_match_async(
                m->bus,
                NULL,
                "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',"
                "member='PropertiesChanged',path_namespace='" SYSTEMD_UNIT_PATH "',arg0='" TIMER_INTERFACE "'",
                on_timer_changed,
                on_installed,
                m);
        if (r < 0)
                return r;
        r = systemd_call_async(m->bus, "Subscribe", on_installed, m, NULL, NULL);
        return r < 0 ? r : watch_logind(m);
}
