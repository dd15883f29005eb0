/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <sys/stat.h>

#include "shared/bus-owner.h"
#include "depend.h"
#include "shared/log.h"
#include "manager.h"
#include "operation.h"
#include "run-follow.h"
#include "shared/slug.h"
#include "systemd-client.h"
#include "test-run.h"
#include "watch.h"

#define QUERY_DELAY_USEC (200 * USEC_PER_MSEC)
#define HINT_DELAY_USEC  (20 * USEC_PER_MSEC)

#define LOGIND_NAME "org.freedesktop.login1"

#define TIMER_INTERFACE "org.freedesktop.systemd1.Timer"

/* ---- Enabled, next run ---- */

static Service *find_by_timer(Manager *m, const char *timer)
{
        const char *slug = startswith(timer, "ssi-"), *end = slug ? endswith(slug, ".timer") : NULL;
        Service *s;

        if (!end)
                return NULL;
        HASH_FIND(hh, m->agent.services, slug, (size_t) (end - slug), s);
        return s;
}

/* Whether the timer was neither removed by hand nor masked. */
static bool timer_is_there(const Service *s)
{
        _cleanup_free_ char *path = NULL;
        struct stat st;

        return asprintf(&path, SSI_UNIT_DIR "/%s", s->timer) >= 0 && stat(path, &st) >= 0 && S_ISREG(st.st_mode);
}

/* Reads the links that enable timers. If there are hundreds, asking systemd for the state of its unit files would
 * block it for seconds. */
static int read_links(Manager *m, const char *unit_dir, const char *wants)
{
        _cleanup_free_ char *path = NULL;
        struct dirent *e;
        DIR *d;

        if (asprintf(&path, "%s/%s", unit_dir, wants) < 0)
                return -ENOMEM;
        d = opendir(path);
        if (!d)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        while ((e = readdir(d))) {
                Service *s = find_by_timer(m, e->d_name);

                if (s)
                        s->linked = true;
        }
        closedir(d);
        return 0;
}

static int read_unit_dir(Manager *m, const char *unit_dir)
{
        struct dirent *e;
        int r = 0;
        DIR *d;

        d = opendir(unit_dir);
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while (r >= 0 && (e = readdir(d)))
                if (endswith(e->d_name, ".wants") || endswith(e->d_name, ".requires"))
                        r = read_links(m, unit_dir, e->d_name);
        closedir(d);
        return r;
}

int manager_read_enabled(Manager *m)
{
        Service *s, *tmp;
        int r;

        HASH_ITER(hh, m->agent.services, s, tmp)
                s->linked = false;
        r = read_unit_dir(m, SSI_UNIT_DIR);
        if (r >= 0)
                r = read_unit_dir(m, "/run/systemd/system");
        if (r < 0)
                return r;
        HASH_ITER(hh, m->agent.services, s, tmp)
                service_set_enabled(s, s->linked && timer_is_there(s));
        return 0;
}

/* ---- Reacting to signals ---- */

/* A signal only tells that something may have changed. A moment later, the current state is read from the disk or
 * from systemd, once for all signals that came together. */
static int on_hints(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        bool links = m->links_hinted, timers = m->timers_hinted;
        Service *s, *tmp;
        int r = 0;

        m->links_hinted = m->timers_hinted = false;
        if (links) {
                r = manager_read_enabled(m);
                if (r < 0)
                        log_warning_errno(r, "Cannot read which timers are enabled");
                r = dependencies_update(&m->agent);
        }
        HASH_ITER(hh, m->agent.services, s, tmp) {
                if (!timers || !s->next_run_hinted)
                        continue;
                s->next_run_hinted = false;
                if (r >= 0)
                        r = service_query_next_run(s);
        }
        if (r < 0)
                log_warning_errno(r, "Cannot ask systemd about units");
        return 0;
}

static int hint(Manager *m)
{
        int r, enabled = SD_EVENT_OFF;

        if (!m->hints)
                return sd_event_add_time_relative(m->agent.event, &m->hints, CLOCK_MONOTONIC, HINT_DELAY_USEC, 0,
                                                  on_hints, m);
        r = sd_event_source_get_enabled(m->hints, &enabled);
        if (r < 0 || enabled != SD_EVENT_OFF)
                return r;
        r = sd_event_source_set_time_relative(m->hints, HINT_DELAY_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(m->hints, SD_EVENT_ONESHOT);
}

static void say_not_asked(int r)
{
        if (r < 0)
                log_warning_errno(r, "Cannot ask systemd about the units of services");
}

/* ---- daemon-reload ---- */

static int on_query(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        Service *s, *tmp;
        int r = 0;

        HASH_ITER(hh, m->agent.services, s, tmp)
                if (r >= 0)
                        r = service_query_units(s);
        say_not_asked(r);
        return 0;
}

/* Units and drop-ins edited by hand are now in effect. If many services are added one after another, each with a
 * reload, one query after the last is enough. */
static int query_all(Manager *m)
{
        int r;

        if (!m->query)
                r = sd_event_add_time_relative(m->agent.event, &m->query, CLOCK_MONOTONIC, QUERY_DELAY_USEC, 0,
                                               on_query, m);
        else {
                r = sd_event_source_set_time_relative(m->query, QUERY_DELAY_USEC);
                if (r >= 0)
                        r = sd_event_source_set_enabled(m->query, SD_EVENT_ONESHOT);
        }
        return r < 0 ? r : dependencies_update(&m->agent);
}

static int on_reloading(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        int active;

        /* When a reload begins, there is nothing new to query. */
        if (bus_owner_sent(m->agent.systemd, message) && sd_bus_message_read(message, "b", &active) >= 0 && !active)
                say_not_asked(query_all(m));
        return 0;
}

static int on_unit_files_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;

        if (!bus_owner_sent(m->agent.systemd, message))
                return 0;
        m->links_hinted = true;
        say_not_asked(hint(m));
        return 0;
}

/* PropertiesChanged of any timer; the path identifies the timer. */
static int on_timer_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *unit = NULL;
        Manager *m = userdata;
        Service *s;

        if (!bus_owner_sent(m->agent.systemd, message) ||
            sd_bus_path_decode(sd_bus_message_get_path(message), SYSTEMD_UNIT_PATH, &unit) <= 0)
                return 0;
        s = find_by_timer(m, unit);
        if (!s)
                return 0;
        s->next_run_hinted = m->timers_hinted = true;
        say_not_asked(hint(m));
        return 0;
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        char slug[SLUG_MAX + 1];
        const char *job, *unit;

        if (bus_owner_sent(m->agent.systemd, message) &&
            sd_bus_message_read(message, "uoss", NULL, &job, &unit, NULL) >= 0) {
                operation_job_hint(&m->agent, job);
                test_runs_job_hint(&m->agent, job);
                if (slug_from_service_unit(unit, slug) >= 0)
                        run_follows_expect(&m->agent);
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

/* When PID 1 re-executes itself, it gets another unique name on the bus, and signals sent in between are lost. At
 * the start none are lost: the name's owner is looked up first, and systemd is queried about everything else
 * afterward. */
static void on_systemd(const char *owner, void *userdata)
{
        Manager *m = userdata;
        bool first = !m->systemd_known;
        int r;

        m->systemd_known = true;
        if (!owner || first)
                return;
        r = systemd_call_no_reply(m->agent.bus, "Subscribe", "");
        if (r >= 0)
                r = query_all(m);
        if (r >= 0)
                r = watches_look(&m->agent);
        m->links_hinted = true;
        if (r >= 0)
                r = hint(m);
        say_not_asked(r);
}

/* ---- logind ---- */

static int ask_preparing(Manager *m);

static void set_shutting_down(Manager *m, int value)
{
        if (m->shutting_down == value)
                return;
        m->shutting_down = value;
        m->shutting_down_dirty = true;
        manager_queue_emit(m);
}

static int on_preparing(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        int active;

        m->preparing_call = sd_bus_slot_unref(m->preparing_call);
        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "v", "b", &active) >= 0)
                set_shutting_down(m, active);
        if (m->preparing_again)
                (void) ask_preparing(m);
        return 0;
}

/* logind may be missing: it is not started for this. */
static int ask_preparing(Manager *m)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        m->preparing_again = m->preparing_call;
        if (m->preparing_call)
                return 0;
        r = sd_bus_message_new_method_call(m->agent.bus, &call, LOGIND_NAME, "/org/freedesktop/login1",
                                           "org.freedesktop.DBus.Properties", "Get");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(call, false);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "ss", LOGIND_NAME ".Manager", "PreparingForShutdown");
        if (r < 0)
                return r;
        r = sd_bus_call_async(m->agent.bus, &m->preparing_call, call, on_preparing, m, 0);
        return MIN(r, 0);
}

static void look_at_logind(Manager *m)
{
        int r = ask_preparing(m);

        if (r < 0)
                log_warning_errno(r, "Cannot ask logind whether the host is going down");
}

static int on_prepare_for_shutdown(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;

        if (bus_owner_sent(m->logind, message))
                look_at_logind(m);
        return 0;
}

static void on_logind(const char *owner, void *userdata)
{
        if (owner)
                look_at_logind(userdata);
}

static int watch_logind(Manager *m)
{
        int r;

        r = sd_bus_match_signal_async(m->agent.bus, NULL, LOGIND_NAME, "/org/freedesktop/login1",
                                      LOGIND_NAME ".Manager", "PrepareForShutdown", on_prepare_for_shutdown, NULL, m);
        return r < 0 ? r : bus_owner_new(m->agent.bus, LOGIND_NAME, on_logind, m, &m->logind);
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
                { "Reloading", on_reloading },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_bus_match_signal_async(m->agent.bus, NULL, "org.freedesktop.systemd1",
                                              "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                              signals[i].signal, signals[i].handler, on_installed, m);
                if (r < 0)
                        return r;
        }
        r = sd_bus_add_match_async(
                m->agent.bus, NULL,
                "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',"
                "member='PropertiesChanged',path_namespace='" SYSTEMD_UNIT_PATH "',arg0='" TIMER_INTERFACE "'",
                on_timer_changed, on_installed, m);
        if (r < 0)
                return r;
        r = bus_owner_new(m->agent.bus, "org.freedesktop.systemd1", on_systemd, m, &m->agent.systemd);
        if (r < 0)
                return r;
        r = systemd_call_async(m->agent.bus, "Subscribe", on_installed, m, NULL, NULL);
        return r < 0 ? r : watch_logind(m);
}

void manager_unwatch_systemd(Manager *m)
{
        m->agent.systemd = bus_owner_free(m->agent.systemd);
        m->logind = bus_owner_free(m->logind);
        m->preparing_call = sd_bus_slot_unref(m->preparing_call);
        m->hints = sd_event_source_disable_unref(m->hints);
        m->query = sd_event_source_disable_unref(m->query);
}
