/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <dirent.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "shared/bus-turns.h"
#include "shared/bus-util.h"
#include "shared/daemon-main.h"
#include "depend.h"
#include "fileset.h"
#include "shared/log.h"
#include "log-follow.h"
#include "manager.h"
#include "operation.h"
#include "run-follow.h"
#include "run-history.h"
#include "run-start.h"
#include "service-bus.h"
#include "subprocess.h"
#include "test-run.h"
#include "watch.h"

/* An editor or a package manager may write several files; one look after the last is enough. */
#define RESCAN_DELAY_USEC (100 * USEC_PER_MSEC)

/* If at least this many services are new, the journal is read once for all of them, this many entries back per
 * service (about two runs). */
#define MANY_SERVICES       8U
#define ENTRIES_PER_SERVICE 10U

static int on_emit(sd_event_source *s, void *userdata)
{
        int r = manager_bus_emit(userdata);

        if (r < 0)
                log_warning_errno(r, "Cannot emit a signal");
        return 0;
}

void manager_queue_emit(Manager *m)
{
        if (m->emit)
                (void) sd_event_source_set_enabled(m->emit, SD_EVENT_ONESHOT);
}

static const AgentOps agent_ops;

int manager_new(Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->agent.ops = &agent_ops;
        m->overall = _STATUS_INVALID;
        r = daemon_event_new(&m->agent.event);
        if (r < 0)
                return r;
        r = polkit_registry_new(&m->agent.polkit);
        if (r < 0)
                return r;
        r = sd_event_add_defer(m->agent.event, &m->emit, on_emit, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(m->emit, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = bus_open_daemon(m->agent.event, &m->agent.bus);
        if (r < 0)
                return r;
        r = bus_turns_new(m->agent.bus, m->agent.polkit, &m->agent.turns);
        if (r < 0)
                return r;
        r = helpers_new(m->agent.event, &m->agent.helpers);
        if (r < 0)
                return r;
        r = systemd_queries_new(m->agent.bus, &m->agent.queries);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

static void remove_service(Manager *m, Service *s)
{
        HASH_DEL(m->agent.services, s);
        m->agent.n_services--;
        log_follows_removed(&m->agent, s);
        if (m->announced)
                (void) sd_bus_emit_object_removed(m->agent.bus, s->path);
        service_free(s);
}

Manager *manager_free(Manager *m)
{
        Service *s, *tmp;

        if (!m)
                return NULL;
        while (m->agent.operations) {
                Operation *o = m->agent.operations;

                m->agent.operations = operation_next(o);
                operation_free(o);
        }
        run_starts_free(&m->agent);
        run_follows_free(&m->agent);
        run_histories_free(&m->agent);
        manager_validations_free(m);
        test_runs_abandon(&m->agent);
        log_follows_free(&m->agent);
        m->announced = false;
        m->follow = journal_follow_free(m->follow);
        manager_unwatch_systemd(m);
        watches_free(&m->agent);
        m->agent.dependencies = dependencies_free(m->agent.dependencies);
        HASH_ITER(hh, m->agent.services, s, tmp)
                remove_service(m, s);
        bus_turns_free(m->agent.turns);
        polkit_registry_free(m->agent.polkit);
        sd_event_source_disable_unref(m->emit);
        sd_event_source_disable_unref(m->rescan);
        sd_event_source_disable_unref(m->agent.zone_check);
        helpers_free(m->agent.helpers);
        systemd_queries_free(m->agent.queries);
        sd_bus_flush_close_unref(m->agent.bus);
        sd_event_unref(m->agent.event);
        free(m);
        return NULL;
}

/* Shown by "systemctl status". */
static void say_status(Manager *m)
{
        if (m->n_services_said == m->agent.n_services + 1)
                return;
        m->n_services_said = m->agent.n_services + 1;
        (void) sd_notifyf(false, "STATUS=%zu service%s", m->agent.n_services, m->agent.n_services == 1 ? "" : "s");
}

static void update_totals(Manager *m)
{
        Status overall = _STATUS_INVALID;
        unsigned counts[_STATUS_MAX] = {};
        Service *s, *tmp;

        HASH_ITER(hh, m->agent.services, s, tmp) {
                if (s->status < 0)
                        continue;
                counts[s->status]++;
                overall = MAX(overall, s->status);
        }
        m->overall_dirty = m->overall_dirty || overall != m->overall;
        m->counts_dirty = m->counts_dirty || memcmp(counts, m->counts, sizeof(counts)) != 0;
        m->overall = overall;
        memcpy(m->counts, counts, sizeof(counts));
        if (m->overall_dirty || m->counts_dirty)
                manager_queue_emit(m);
        say_status(m);
}

/* ---- Services on the disk ---- */

static int find_last_run(Manager *m, const char *slug, RunEvent *ret_last, RunEvent *ret_result)
{
        _cleanup_(journal_history_freep) JournalHistory *own = NULL;
        int r;

        if (m->last_runs && last_runs_take(m->last_runs, slug, ret_last, ret_result))
                return ret_last->slug ? 1 : 0;
        r = m->history ? 0 : journal_history_new(&own);
        return r < 0 ? r : journal_history_last(m->history ?: own, slug, ret_last, ret_result);
}

static void load_last_run(Manager *m, Service *s)
{
        _cleanup_(run_event_done) RunEvent last = RUN_EVENT_INIT, result = RUN_EVENT_INIT;
        int r;

        r = find_last_run(m, s->slug, &last, &result);
        if (r > 0 && result.slug)
                r = service_apply_run(s, &result, false);
        if (r > 0 || (r == 0 && last.slug))
                r = service_apply_run(s, &last, false);
        if (r < 0)
                log_warning_errno(r, "Cannot read the last run of %s from the journal", s->slug);
}

static int add_service(Manager *m, Service *s_taken)
{
        _cleanup_(service_freep) Service *s = s_taken;
        int r;

        if (m->agent.n_services >= SERVICES_MAX)
                return -E2BIG;
        s->dirty = 0;
        HASH_ADD_STR(m->agent.services, slug, s);
        m->agent.n_services++;
        load_last_run(m, s);
        r = service_query_units(s);
        if (r < 0)
                log_warning_errno(r, "Cannot ask systemd about the units of %s", s->slug);
        s->dirty = 0;
        if (m->announced) {
                r = sd_bus_emit_object_added(m->agent.bus, s->path);
                if (r < 0)
                        log_warning_errno(r, "Cannot announce service %s", s->slug);
        }
        TAKE_PTR(s);
        return 0;
}

static int rescan_one(Manager *m, const char *slug)
{
        _cleanup_(service_freep) Service *loaded = NULL;
        Service *s;
        int r;

        HASH_FIND_STR(m->agent.services, slug, s);
        r = service_load(&m->agent, slug, &loaded);
        if (r == -ENOENT) {
                if ((s || !m->announced) && service_has_rest(slug))
                        log_warning(
                                "Files of service %s were removed, but not all: \"ssictl remove %s\" removes the rest, "
                                "\"ssictl add\" mends it.",
                                slug, slug);
                if (s) {
                        remove_service(m, s);
                        update_totals(m);
                }
                return m->history ? 0 : watches_update(&m->agent);
        }
        if (r < 0)
                return r;
        if (!s) {
                r = add_service(m, TAKE_PTR(loaded));
                if (m->history || r < 0)
                        return r;
                update_totals(m);
                return watches_update(&m->agent);
        }
        service_update(s, loaded);
        s->seen = true;
        return m->history ? 0 : watches_update(&m->agent);
}

/* Reads the last runs of many new services at once. If this fails, each service is looked up separately. */
static void load_last_runs(Manager *m, DIR *d)
{
        char slug[SLUG_MAX + 1];
        unsigned n_new = 0;
        struct dirent *e;
        Service *s;
        int r;

        while ((e = readdir(d))) {
                if (slug_from_service_unit(e->d_name, slug) < 0)
                        continue;
                HASH_FIND_STR(m->agent.services, slug, s);
                n_new += !s;
        }
        rewinddir(d);
        if (n_new < MANY_SERVICES)
                return;
        r = journal_history_last_runs(m->history, n_new * ENTRIES_PER_SERVICE, &m->last_runs);
        if (r < 0)
                log_debug_errno(r, "Cannot read the last runs at once");
}

int manager_rescan(Manager *m)
{
        char slug[SLUG_MAX + 1];
        Service *s, *tmp;
        struct dirent *e;
        DIR *d;
        int r;

        d = opendir(SSI_UNIT_DIR);
        if (!d)
                return -errno;
        HASH_ITER(hh, m->agent.services, s, tmp)
                s->seen = false;
        r = journal_history_new(&m->history);
        if (r < 0)
                log_warning_errno(r, "Cannot open the journal");
        else
                load_last_runs(m, d);
        while ((e = readdir(d))) {
                if (slug_from_service_unit(e->d_name, slug) < 0)
                        continue;
                r = rescan_one(m, slug);
                if (r < 0)
                        log_warning_errno(r, "Cannot load service %s", slug);
                HASH_FIND_STR(m->agent.services, slug, s);
                if (s)
                        s->seen = true;
        }
        closedir(d);
        m->last_runs = last_runs_free(m->last_runs);
        m->history = journal_history_free(m->history);
        HASH_ITER(hh, m->agent.services, s, tmp)
                if (!s->seen)
                        remove_service(m, s);
        update_totals(m);
        r = watches_update(&m->agent);
        if (r < 0)
                log_warning_errno(r, "Cannot watch units");
        return manager_read_enabled(m);
}

static int on_rescan(sd_event_source *source, uint64_t usec, void *userdata)
{
        int r = manager_rescan(userdata);

        if (r < 0)
                log_warning_errno(r, "Cannot read the installed services");
        return 0;
}

static int on_folder_changed(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Manager *m = userdata;

        (void) sd_event_source_set_time_relative(m->rescan, RESCAN_DELAY_USEC);
        (void) sd_event_source_set_enabled(m->rescan, SD_EVENT_ONESHOT);
        return 0;
}

static int watch_folders(Manager *m)
{
        const uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR;
        int r;

        r = sd_event_add_time_relative(m->agent.event, &m->rescan, CLOCK_MONOTONIC, 0, 0, on_rescan, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(m->rescan, SD_EVENT_OFF);
        if (r < 0)
                return r;
        if (mkdir(SSI_SCRIPT_DIR, 0755) < 0 && errno != EEXIST)
                return log_error_errno(errno, "Cannot make the folder " SSI_SCRIPT_DIR);
        r = sd_event_add_inotify(m->agent.event, NULL, SSI_SCRIPT_DIR, mask, on_folder_changed, m);
        if (r < 0)
                return log_error_errno(r, "Cannot watch " SSI_SCRIPT_DIR);
        r = sd_event_add_inotify(m->agent.event, NULL, SSI_UNIT_DIR, mask, on_folder_changed, m);
        if (r < 0)
                return log_error_errno(r, "Cannot watch " SSI_UNIT_DIR);
        return 0;
}

/* ---- Events from the journal ---- */

static bool is_installed(const char *slug, void *userdata)
{
        Manager *m = userdata;
        Service *s;

        HASH_FIND_STR(m->agent.services, slug, s);
        return s;
}

static int on_run(RunEvent *e, void *userdata)
{
        Manager *m = userdata;
        Service *s;

        HASH_FIND_STR(m->agent.services, e->slug, s);
        return s ? service_apply_run(s, e, true) : 0;
}

static void on_follow_failed(int error, void *userdata)
{
        Manager *m = userdata;

        /* After the restart, everything is read again. */
        log_error_errno(error, "Cannot read the journal");
        sd_event_exit(m->agent.event, error);
}

static const JournalFollowOps follow_ops = {
        .is_installed = is_installed,
        .event = on_run,
        .failed = on_follow_failed,
};

/* ---- Notifications from the parts below ---- */

static_assert(offsetof(Manager, agent) == 0, "the agent is the manager's first member");

static Manager *manager_of(Agent *a)
{
        return (Manager *) a;
}

static void on_changed(Agent *a)
{
        manager_queue_emit(manager_of(a));
}

static void on_status_changed(Agent *a)
{
        update_totals(manager_of(a));
}

static int on_reported(Agent *a, Service *s, Status old)
{
        int r = s->status != old ? service_emit_status_changed(s, old) : 0;

        return r < 0 ? r : manager_emit_status_reported(manager_of(a), s);
}

static int on_run_ended(Agent *a, Service *s)
{
        return watches_run_ended(s);
}

static int on_rescan_wanted(Agent *a, const char *slug)
{
        return rescan_one(manager_of(a), slug);
}

static const AgentOps agent_ops = {
        .changed = on_changed,
        .status_changed = on_status_changed,
        .reported = on_reported,
        .run_ended = on_run_ended,
        .rescan = on_rescan_wanted,
};

/* ---- Start ---- */

/* Nothing else runs yet, so blocking calls are fine: systemd must not go on using units that were removed again. */
static void on_recovered(const char *slug, bool removed, void *userdata)
{
        _cleanup_free_ char *timer = slug_to_unit(slug, ".timer");
        const char *name = "org.freedesktop.systemd1", *path = "/org/freedesktop/systemd1";
        const char *interface = "org.freedesktop.systemd1.Manager";
        Manager *m = userdata;

        log_notice("Finished an interrupted change of service %s: it is %s.", slug,
                   removed ? "not installed" : "as it was before");
        if (removed && timer) {
                (void) sd_bus_call_method(m->agent.bus, name, path, interface, "DisableUnitFiles", NULL, NULL, "asb", 1,
                                          timer, 0);
                (void) sd_bus_call_method(m->agent.bus, name, path, interface, "StopUnit", NULL, NULL, "ss", timer,
                                          "replace");
        }
        (void) sd_bus_call_method(m->agent.bus, name, path, interface, "Reload", NULL, NULL, NULL);
}

int manager_start(Manager *m)
{
        int r;

        r = fileset_recover(SSI_SCRIPT_DIR, SSI_UNIT_DIR, on_recovered, m);
        if (r < 0)
                log_error_errno(r, "Cannot finish an interrupted change");
        run_follows_init(&m->agent);
        r = watch_folders(m);
        if (r < 0)
                return r;
        r = journal_follow_new(m->agent.event, &follow_ops, m, &m->follow);
        if (r < 0)
                return log_error_errno(r, "Cannot open the journal");
        r = journal_follow_start(m->follow, NULL, USEC_INFINITY);
        if (r < 0)
                return log_error_errno(r, "Cannot follow the journal");
        r = manager_bus_setup(m);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the bus objects");
        r = manager_watch_systemd(m);
        if (r < 0)
                return log_error_errno(r, "Cannot watch systemd");
        r = manager_rescan(m);
        if (r < 0)
                return log_error_errno(r, "Cannot read the installed services");
        r = operation_watch_zone(&m->agent);
        if (r < 0)
                return log_error_errno(r, "Cannot watch /etc/localtime");
        m->announced = true;
        r = bus_request_name(m->agent.bus, AGENT_BUS_NAME);
        if (r < 0)
                return log_error_errno(r, "Cannot claim the bus name " AGENT_BUS_NAME);
        (void) sd_notify(false, "READY=1");
        say_status(m);
        return 0;
}
