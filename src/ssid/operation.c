/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-event.h>
#include <utlist.h>

#include "shared/log.h"
#include "operation-internal.h"
#include "systemd-client.h"

Operation *operation_free(Operation *o)
{
        if (!o)
                return NULL;
        sd_bus_slot_unref(o->slot);
        systemd_query_free(o->query);
        sd_event_source_disable_unref(o->defer);
        systemd_job_free(o->job);
        loaded_unit_free(o->look);
        validation_free(o->validation);
        run_start_free(o->run_start);
        metadata_free(o->metadata);
        fileset_free(o->fileset);
        sd_bus_error_free(&o->error);
        sd_bus_message_unref(o->request);
        free(o->slug);
        free(o->unit);
        free(o->timer);
        free(o->filename);
        free(o->content);
        free(o->asked);
        subprocess_free(o->process);
        free(o);
        return NULL;
}

Operation *operation_next(Operation *o)
{
        return o->next;
}

int operation_new(Agent *a, const OperationKind *kind, sd_bus_message *request, const char *slug, sd_bus_error *error,
                  Operation **ret)
{
        _cleanup_(operation_freep) Operation *o = NULL;
        uid_t uid = 0;
        int r;

        r = request ? polkit_sender_uid(a->polkit, request, &uid) : 0;
        if (r < 0)
                return r;
        if (request && !list_has_room(a->operations, uid, OPERATIONS_MAX, OPERATIONS_PER_USER_MAX))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many changes are waiting; try again in a moment.");
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->agent = a;
        o->uid = uid;
        o->kind = kind;
        o->steps = kind->steps;
        o->request = sd_bus_message_ref(request);
        o->slug = strdup(slug);
        o->unit = slug_to_unit(slug, ".service");
        o->timer = slug_to_unit(slug, ".timer");
        if (!o->slug || !o->unit || !o->timer)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

/* ---- Queue ---- */

static int on_continue(sd_event_source *s, void *userdata)
{
        Operation *o = userdata;

        o->defer = sd_event_source_disable_unref(o->defer);
        operation_continue(o);
        return 0;
}

void operation_schedule(Operation *o)
{
        int r = sd_event_add_defer(o->agent->event, &o->defer, on_continue, o);

        if (r < 0) {
                log_error_errno(r, "Cannot schedule a change");
                sd_event_exit(o->agent->event, r);
        }
}

void operation_enqueue(Operation *o)
{
        Agent *a = o->agent;

        DL_APPEND(a->operations, o);
        if (a->operations == o)
                operation_schedule(o);
}

void operation_finish(Operation *o)
{
        Agent *a = o->agent;

        DL_DELETE(a->operations, o);
        operation_free(o);
        if (a->operations)
                operation_schedule(a->operations);
}

void operation_refuse(Operation *o)
{
        int r = o->request ? sd_bus_reply_method_error(o->request, &o->error) : 0;

        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
        operation_finish(o);
}

/* ---- Steps ---- */

static void refuse_failed(Operation *o)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = o->error;

        o->error = SD_BUS_ERROR_NULL;
        sd_bus_error_setf(&o->error, e.name, "%s. %s%s", e.message,
                          o->undo_failed ? "Not everything could be restored, see \"journalctl -u ssid\". " :
                          o->undoing     ? "Nothing has changed. " :
                                           "",
                          o->advice);
        operation_refuse(o);
}

void operation_restore_files(Operation *o)
{
        int r = fileset_rollback(o->fileset);

        if (r >= 0)
                return;
        log_error_errno(r, "Cannot restore the files of service %s", o->slug);
        o->undo_failed = true;
}

int step_undone(Operation *o)
{
        (void) o->agent->ops->rescan(o->agent, o->slug);
        log_warning("%s", o->error.message);
        refuse_failed(o);
        return 0;
}

/* Undoing is best effort: after a failed step, the next may still succeed. Files that systemd has not read need no
 * reload. */
static void undo_failed(Operation *o, const char *text)
{
        if (o->steps[-1] == step_reload && !o->reloaded)
                log_debug("While undoing a change of service %s: %s", o->slug, text);
        else {
                log_warning("While undoing a change of service %s: %s", o->slug, text);
                o->undo_failed = true;
        }
        operation_schedule(o);
}

void operation_fail(Operation *o, const sd_bus_error *error, const char *advice)
{
        const char *text = error->message ?: error->name;

        if (o->undoing) {
                undo_failed(o, text);
                return;
        }
        o->advice = advice;
        sd_bus_error_setf(&o->error, o->kind->error_name, "Cannot %s service \"%s\": %.*s", o->kind->verb, o->slug,
                          (int) (strlen(text) - (endswith(text, ".") ? 1 : 0)), text);
        o->undoing = true;
        if (o->kind->undo && o->kind->undo(o))
                operation_continue(o);
        else
                refuse_failed(o);
}

void operation_fail_systemd(Operation *o, const sd_bus_error *error)
{
        operation_fail(o, error,
                       o->steps[-1] == step_reload ?
                               "Try again when \"systemctl daemon-reload\" works." :
                               "Try again when systemd allows it; \"journalctl -b _PID=1\" may say why.");
}

/* Mostly errors from writing files. */
void operation_fail_errno(Operation *o, int error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        const char *advice;

        switch (-error) {
        case ENOSPC:
        case EDQUOT:
                advice = "Make room in " SSI_SCRIPT_DIR " and " SSI_UNIT_DIR ", and try again.";
                break;
        case EROFS:
        case EACCES:
        case EPERM:
                advice = "Make " SSI_SCRIPT_DIR " and " SSI_UNIT_DIR " writable, and try again.";
                break;
        default:
                advice = "\"journalctl -u ssid\" may say why.";
                break;
        }
        sd_bus_error_set_errno(&e, error);
        operation_fail(o, &e, advice);
}

void operation_continue(Operation *o)
{
        int r;

        do
                r = (*o->steps++)(o);
        while (r > 0);
        if (r < 0)
                operation_fail_errno(o, r);
}

/* A unit that is not loaded need not be stopped. */
static bool is_no_such_unit(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit");
}

int operation_on_step_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Operation *o = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        o->slot = sd_bus_slot_unref(o->slot);
        if (e && !is_no_such_unit(e))
                operation_fail_systemd(o, e);
        else
                operation_continue(o);
        return 0;
}

static int on_reloaded(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Operation *o = userdata;

        o->reloaded = o->reloaded || !sd_bus_message_is_method_error(reply, NULL);
        return operation_on_step_reply(reply, userdata, ret_error);
}

int step_reload(Operation *o)
{
        return systemd_call_async(o->agent->bus, "Reload", on_reloaded, o, &o->slot, NULL);
}

int step_enable(Operation *o)
{
        return systemd_call_async(o->agent->bus, "EnableUnitFiles", operation_on_step_reply, o, &o->slot, "asbb", 1,
                                  o->timer, false, true);
}

int step_disable(Operation *o)
{
        return systemd_call_async(o->agent->bus, "DisableUnitFiles", operation_on_step_reply, o, &o->slot, "asb", 1,
                                  o->timer, false);
}

static int call_unit(Operation *o, const char *member, const char *unit)
{
        return systemd_call_async(o->agent->bus, member, operation_on_step_reply, o, &o->slot, "ss", unit, "replace");
}

int step_stop_timer(Operation *o)
{
        return call_unit(o, "StopUnit", o->timer);
}

static int on_cleaned(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        Operation *o = userdata;

        o->slot = sd_bus_slot_unref(o->slot);
        if (e && !is_no_such_unit(e) && !sd_bus_error_has_name(e, "org.freedesktop.systemd1.NothingToClean"))
                log_warning("Cannot clean %s: %s", o->timer, e->message);
        operation_continue(o);
        return 0;
}

/* Removes the timestamp of the Persistent= timer. Otherwise, a service added later under the same name would run at
 * once, to make up for missed times. Only inactive timers can be cleaned, and only while their file exists. */
int step_clean_timer(Operation *o)
{
        return systemd_call_async(o->agent->bus, "CleanUnit", on_cleaned, o, &o->slot, "sas", o->timer, 1, "state");
}

int step_stop_service(Operation *o)
{
        return call_unit(o, "StopUnit", o->unit);
}

static int take_number(Operation *o, sd_bus_message *reply, uint64_t *number)
{
        o->query = systemd_query_free(o->query);
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "t", number);
        operation_continue(o);
        return 0;
}

static int on_next_run(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Operation *o = userdata;

        return take_number(o, reply, &o->next_run);
}

static int on_timeout(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Operation *o = userdata;

        return take_number(o, reply, &o->timeout);
}

/* Queried before the answer, so that the caller can show the next run. */
int step_get_next_run(Operation *o)
{
        return systemd_query_unit_property(o->agent->queries, o->timer, "org.freedesktop.systemd1.Timer",
                                           "NextElapseUSecRealtime", on_next_run, o, &o->query);
}

/* Queried, because drop-ins may set another timeout than the script. */
int step_get_timeout(Operation *o)
{
        return systemd_query_unit_property(o->agent->queries, o->unit, "org.freedesktop.systemd1.Service",
                                           "TimeoutStartUSec", on_timeout, o, &o->query);
}
