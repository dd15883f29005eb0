/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/inotify.h>

#include "shared/log.h"
#include "operation-internal.h"
#include "schedule.h"
#include "systemd-client.h"
#include "unit-file.h"

/* A change of the zone takes several steps, and at the start other things are more urgent. */
#define DELAY_USEC (200 * USEC_PER_MSEC)

/* How many timers are read before the event loop gets its turn. */
#define SLICE 64U

/* ---- One timer ---- */

/* Sets *ret_schedule only if it returns TIMER_UPDATE_UNKNOWN. */
static int update_timer(Operation *o, Service *s, const char *normalized, char **ret_schedule)
{
        _cleanup_free_ char *text = NULL, *result = NULL;
        int update, r;

        r = unit_file_read(s->timer, UNIT_FILE_SIZE_MAX, &text);
        if (r < 0)
                return r == -ENOENT ? TIMER_UPDATE_NONE : r;
        update = unit_file_timer_update(text, normalized, o->zone_minutes, &result);
        if (update == TIMER_UPDATE_UNKNOWN)
                *ret_schedule = TAKE_PTR(result);
        if (update != TIMER_UPDATE_TEXT)
                return update;
        r = fileset_replace_unit(SSI_UNIT_DIR, s->timer, result, strlen(result));
        if (r < 0)
                return r;
        s->zone_changed = true;
        o->n_changed++;
        return update;
}

/* One that cannot be read or does not parse any more stays as it is. */
static int update_service(Operation *o, const Service *s)
{
        _cleanup_free_ char *script = NULL, *text = NULL, *result = NULL;
        _cleanup_(metadata_freep) Metadata *metadata = NULL;
        size_t n;
        int r;

        if (service_read_script(s->slug, &script, &n) < 0 || unit_file_read(s->unit, UNIT_FILE_SIZE_MAX, &text) < 0)
                return 0;
        r = metadata_parse(script, n, &metadata);
        if (r < 0 || metadata->n_errors > 0)
                return MIN(r, 0);
        r = unit_file_service_update(text, metadata, &result);
        if (r > 0)
                r = fileset_replace_unit(SSI_UNIT_DIR, s->unit, result, strlen(result));
        else
                return r;
        o->n_rewritten += r >= 0;
        return r;
}

/* Timers written so far are applied; the rest must wait for the next check. */
static void give_up(Operation *o, const Service *s, int error)
{
        Service *i, *tmp;

        log_warning_errno(error, "Cannot rewrite the timers of service %s and those after it for this host's time zone",
                          s->slug);
        HASH_ITER(hh, o->agent->services, i, tmp)
                i->zone_checked = true;
}

/* ---- Steps ---- */

static void on_normalized(int status, const char *output, void *userdata)
{
        _cleanup_free_ char *normalized = NULL, *schedule = NULL;
        Operation *o = userdata;
        Service *s = service_find(o->agent, o->asked);
        int r = 0;

        o->process = NULL;
        /* If systemd rejects a schedule, it stays as it is; systemd has logged this. */
        if (s && status == 0 && schedule_read_normalized(output, &normalized) >= 0)
                r = update_timer(o, s, normalized, &schedule);
        else
                log_debug("systemd-analyze did not give the schedule of service %s", o->asked);
        if (r < 0)
                give_up(o, s, r);
        operation_continue(o);
}

static int ask(Operation *o, const Service *s, const char *schedule)
{
        const char *argv[] = { SYSTEMD_ANALYZE, "calendar", "--", schedule, NULL };
        int r;

        r = free_and_strdup(&o->asked, s->slug);
        return r < 0 ? r : subprocess_start(o->agent->helpers, 0, argv, NULL, 0, on_normalized, o, &o->process);
}

static int step_begin(Operation *o)
{
        Service *s, *tmp;

        o->agent->zone_checking = false;
        o->zone_minutes = schedule_host_minutes();
        HASH_ITER(hh, o->agent->services, s, tmp)
                s->zone_checked = s->zone_changed = false;
        return 1;
}

/* Repeated until every service has been checked. Services may come and go in between. */
static int step_look_at_timers(Operation *o)
{
        Service *s, *tmp;
        unsigned n = 0;

        HASH_ITER(hh, o->agent->services, s, tmp) {
                _cleanup_free_ char *schedule = NULL;
                int r;

                if (s->zone_checked)
                        continue;
                if (n++ == SLICE) {
                        o->steps--;
                        operation_schedule(o);
                        return 0;
                }
                s->zone_checked = true;
                r = update_service(o, s);
                if (r < 0)
                        log_warning_errno(r, "Cannot bring the unit of service %s up to date", s->slug);
                r = update_timer(o, s, NULL, &schedule);
                if (r == TIMER_UPDATE_UNKNOWN) {
                        r = ask(o, s, schedule);
                        if (r >= 0) {
                                o->steps--;
                                return 0;
                        }
                }
                if (r < 0)
                        give_up(o, s, r);
        }
        return 1;
}

static int on_reloaded(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        Operation *o = userdata;

        o->slot = sd_bus_slot_unref(o->slot);
        if (e)
                log_warning("systemd did not reload the units that were written: %s", e->message);
        operation_continue(o);
        return 0;
}

static int step_reload_timers(Operation *o)
{
        return o->n_changed + o->n_rewritten == 0 ?
                       1 :
                       systemd_call_async(o->agent->bus, "Reload", on_reloaded, o, &o->slot, NULL);
}

/* A timer keeps its schedule until it is restarted. A stopped timer stays stopped. */
static int step_restart_timers(Operation *o)
{
        Service *s, *tmp;
        int r = 0;

        HASH_ITER(hh, o->agent->services, s, tmp)
                if (s->zone_changed && r >= 0)
                        r = systemd_call_no_reply(o->agent->bus, "TryRestartUnit", "ss", s->timer, "replace");
        if (r < 0)
                log_warning_errno(r, "Cannot restart the timers written for this host's time zone");
        if (o->n_changed > 0)
                log_info("Wrote the timers of %zu services for this host's time zone.", o->n_changed);
        if (o->n_rewritten > 0)
                log_info("Brought the units of %zu services up to date.", o->n_rewritten);
        operation_finish(o);
        return 0;
}

/* ---- When to check ---- */

static int on_zone_check(sd_event_source *source, uint64_t usec, void *userdata)
{
        static const step_t steps[] = { step_begin, step_look_at_timers, step_reload_timers, step_restart_timers,
                                        NULL };
        static const OperationKind kind = { .verb = "schedule", .error_name = SD_BUS_ERROR_FAILED, .steps = steps };
        Agent *a = userdata;
        Operation *o;
        int r;

        if (a->zone_checking)
                return 0;
        r = operation_new(a, &kind, NULL, "all", NULL, &o);
        if (r < 0) {
                log_warning_errno(r, "Cannot check the timers");
                return 0;
        }
        a->zone_checking = true;
        operation_enqueue(o);
        return 0;
}

void operation_check_zone(Agent *a)
{
        if (!a->zone_check)
                return;
        (void) sd_event_source_set_time_relative(a->zone_check, DELAY_USEC);
        (void) sd_event_source_set_enabled(a->zone_check, SD_EVENT_ONESHOT);
}

static int on_etc_changed(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        if ((event->mask & IN_Q_OVERFLOW) || (event->len > 0 && streq(event->name, "localtime")))
                operation_check_zone(userdata);
        return 0;
}

/* timedated renames a link into place, ln(1) creates one, and other tools write the file itself. */
int operation_watch_zone(Agent *a)
{
        const uint32_t mask = IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR;
        int r;

        r = sd_event_add_time_relative(a->event, &a->zone_check, CLOCK_MONOTONIC, DELAY_USEC, 0, on_zone_check, a);
        if (r < 0)
                return r;
        return sd_event_add_inotify(a->event, NULL, "/etc", mask, on_etc_changed, a);
}
