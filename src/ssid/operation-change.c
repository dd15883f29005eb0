/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-util.h"
#include "shared/log.h"
#include "operation-internal.h"

/* The service may have been removed between the request and its turn. */
static Service *find(Operation *o)
{
        Service *s = service_find(o->agent, o->slug);

        if (!s) {
                sd_bus_error_setf(&o->error, AGENT_ERROR_NO_SUCH_SERVICE, "No service \"%s\" is installed.", o->slug);
                operation_refuse(o);
        }
        return s;
}

static void answer(Operation *o)
{
        int r = sd_bus_reply_method_return(o->request, NULL);

        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
        operation_finish(o);
}

static int enqueue(Agent *a, const OperationKind *kind, sd_bus_message *request, const char *slug, bool privileged,
                   sd_bus_error *error)
{
        Operation *o;
        int r;

        r = operation_new(a, kind, request, slug, error, &o);
        if (r < 0)
                return r;
        o->privileged = privileged;
        operation_enqueue(o);
        return 0;
}

/* ---- Remove ---- */

static int step_begin_removal(Operation *o)
{
        const Service *s = service_find(o->agent, o->slug);
        int r;

        if (!s && !service_has_rest(o->slug)) {
                (void) find(o);
                return 0;
        }
        o->was_enabled = s && s->enabled;
        r = fileset_begin_removal(SSI_SCRIPT_DIR, SSI_UNIT_DIR, o->slug, &o->fileset);
        return r < 0 ? r : 1;
}

static int step_put_files_aside(Operation *o)
{
        int r = fileset_put_aside(o->fileset);

        return r < 0 ? r : 1;
}

static int step_removed(Operation *o)
{
        int r;

        r = fileset_commit(o->fileset);
        if (r < 0)
                return r;
        r = o->agent->ops->rescan(o->agent, o->slug);
        if (r < 0)
                return r;
        log_info("Removed service %s.", o->slug);
        answer(o);
        return 0;
}

static bool undo_removal(Operation *o)
{
        static const step_t steps_enabled[] = { step_enable, step_reload, step_start_timer, step_undone, NULL };
        static const step_t steps_disabled[] = { step_reload, step_undone, NULL };

        if (!o->fileset)
                return false;
        operation_restore_files(o);
        o->steps = o->was_enabled ? steps_enabled : steps_disabled;
        return true;
}

int operation_remove(Agent *a, sd_bus_message *request, const char *slug, sd_bus_error *error)
{
        static const step_t steps[] = {
                step_begin_removal,
                step_stop_timer_and_wait,
                step_clean_timer,
                step_put_files_aside,
                step_disable,
                step_stop_service,
                step_reload,
                step_removed,
                NULL,
        };
        static const OperationKind kind = {
                .verb = "remove",
                .error_name = AGENT_ERROR_REMOVE_FAILED,
                .steps = steps,
                .undo = undo_removal,
        };

        return enqueue(a, &kind, request, slug, false, error);
}

/* ---- Enable, disable ---- */

static int step_still_there(Operation *o)
{
        const Service *s = find(o);

        if (!s)
                return 0;
        o->was_enabled = s->enabled;
        o->changed = true;
        return 1;
}

/* If its file is gone, systemd would still enable the timer, because of what is left of it. */
static int step_timer_still_there(Operation *o)
{
        int r = step_still_there(o);

        if (r <= 0 || unit_file_find(o->timer) != UNIT_FILE_NONE)
                return r;
        sd_bus_error_setf(&o->error, AGENT_ERROR_CHANGE_FAILED,
                          "%s no longer exists; install the script again (ssictl add --replace).", o->timer);
        operation_refuse(o);
        return 0;
}

static int finish_enabling(Operation *o, bool enabled)
{
        Service *s = find(o);

        if (!s)
                return 0;
        service_set_enabled(s, enabled);
        service_set_next_run(s, o->next_run);
        log_info("%s service %s.", enabled ? "Enabled" : "Disabled", s->slug);
        answer(o);
        return 0;
}

static int step_enabled(Operation *o)
{
        return finish_enabling(o, true);
}

static int step_disabled(Operation *o)
{
        return finish_enabling(o, false);
}

static bool undo_change(Operation *o)
{
        static const step_t steps_enabled[] = { step_enable, step_reload, step_start_timer, step_undone, NULL };
        static const step_t steps_disabled[] = { step_disable, step_stop_timer, step_reload, step_undone, NULL };

        o->steps = o->was_enabled ? steps_enabled : steps_disabled;
        return true;
}

int operation_set_enabled(Agent *a, sd_bus_message *request, const char *slug, bool enable, bool privileged,
                          sd_bus_error *error)
{
        static const step_t steps_enable[] = {
                step_timer_still_there, step_enable,       step_reload,  step_look,
                step_start_timer,       step_get_next_run, step_enabled, NULL,
        };
        /* Waits, because systemd still reports the timer's next elapse while it is stopping the timer. */
        static const step_t steps_disable[] = {
                step_still_there,  step_disable,  step_reload, step_stop_timer_and_wait,
                step_get_next_run, step_disabled, NULL,
        };
        static const OperationKind kinds[] = {
                { .verb = "disable",
                  .error_name = AGENT_ERROR_CHANGE_FAILED,
                  .steps = steps_disable,
                  .undo = undo_change },
                { .verb = "enable",
                  .error_name = AGENT_ERROR_CHANGE_FAILED,
                  .steps = steps_enable,
                  .undo = undo_change },
        };

        return enqueue(a, kinds + enable, request, slug, privileged, error);
}
