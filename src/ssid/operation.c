#include <systemd/sd-event.h>
#include <utlist.h>

#include "bus-util.h"
#include "fileset.h"
#include "log.h"
#include "manager.h"
#include "operation.h"
#include "systemd-client.h"
#include "unit-file.h"
#include "validate.h"

/* An operation is a list of steps. Each sends one call and returns; the answer leads to the next step:
 *
 *   add:    validate, write files, Reload, EnableUnitFiles, start the timer, [start the service], commit
 *   remove: remove files, DisableUnitFiles, StopUnit timer, StopUnit service, Reload, commit
 *   undo (a failed add): restore files, DisableUnitFiles and StopUnit when the service was new, Reload
 *
 * Until the commit, the record of the fileset lets a restarted ssid undo an add and finish a removal. */

typedef int (*step_t)(Operation *o);

struct Operation {
        Manager *manager;
        sd_bus_message *request;
        char *slug, *unit, *timer;
        bool removal;
        bool existed;

        /* For an add. */
        char *filename, *content;
        Metadata *metadata;
        AddOptions options;
        Validation *validation;
        uint64_t next_run;

        Fileset *fileset;
        const step_t *steps; /* the next one first, ends with NULL */
        bool undoing;
        sd_bus_error error; /* what failed, while undoing */
        sd_bus_slot *slot;
        sd_event_source *defer;
        Operation *prev, *next;
};

static void operation_continue(Operation *o);

Operation *operation_free(Operation *o)
{
        if (!o)
                return NULL;
        sd_bus_slot_unref(o->slot);
        sd_event_source_disable_unref(o->defer);
        validation_free(o->validation);
        metadata_free(o->metadata);
        fileset_free(o->fileset);
        sd_bus_error_free(&o->error);
        sd_bus_message_unref(o->request);
        free(o->slug);
        free(o->unit);
        free(o->timer);
        free(o->filename);
        free(o->content);
        free(o);
        return NULL;
}

DEFINE_CLEANUP(Operation *, operation_free);

Operation *operation_next(Operation *o)
{
        return o->next;
}


static int on_next_operation(sd_event_source *s, void *userdata)
{
        Operation *o = userdata;

        o->defer = sd_event_source_disable_unref(o->defer);
        operation_continue(o);
        return 0;
}

static void operation_schedule(Operation *o)
{
        int r = sd_event_add_defer(o->manager->event, &o->defer, on_next_operation, o);

        if (r < 0) {
                log_error_errno(r, "Cannot schedule an operation");
                sd_event_exit(o->manager->event, r);
        }
}

static void operation_finish(Operation *o)
{
        Manager *m = o->manager;

        DL_DELETE(m->operations, o);
        operation_free(o);
        if (m->operations)
                operation_schedule(m->operations);
}

static void reply_error(Operation *o, const sd_bus_error *error)
{
        int r = sd_bus_reply_method_error(o->request, error);

        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
}

/* ---- Steps ---- */

static int on_step_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error);

static int step_reload(Operation *o)
{
        return systemd_call_async(o->manager->bus, "Reload", on_step_reply, o, &o->slot, NULL);
}

static int step_enable(Operation *o)
{
        return systemd_call_async(
                o->manager->bus, "EnableUnitFiles", on_step_reply, o, &o->slot, "asbb", 1, o->timer, false, true);
}

static int step_disable(Operation *o)
{
        return systemd_call_async(
                o->manager->bus, "DisableUnitFiles", on_step_reply, o, &o->slot, "asb", 1, o->timer, false);
}

static int call_unit(Operation *o, const char *member, const char *unit)
{
        return systemd_call_async(o->manager->bus, member, on_step_reply, o, &o->slot, "ss", unit, "replace");
}

/* Restart: a replaced timer keeps its old schedule otherwise. */
static int step_start_timer(Operation *o)
{
        return call_unit(o, "RestartUnit", o->timer);
}

static int step_stop_timer(Operation *o)
{
        return call_unit(o, "StopUnit", o->timer);
}

static int step_stop_service(Operation *o)
{
        return call_unit(o, "StopUnit", o->unit);
}

static int on_next_run(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Operation *o = userdata;

        o->slot = sd_bus_slot_unref(o->slot);
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "t", &o->next_run);
        operation_continue(o);
        return 0;
}

/* Known before the answer, so that the caller can say it. */
static int step_get_next_run(Operation *o)
{
        return systemd_get_unit_property_async(
                o->manager->bus,
                o->timer,
                "org.freedesktop.systemd1.Timer",
                "NextElapseUSecRealtime",
                on_next_run,
                o,
                &o->slot);
}

static int step_run(Operation *o)
{
        if (!o->options.run)
                return 1;
        return call_unit(o, "StartUnit", o->unit);
}

static int step_commit_add(Operation *o)
{
        Service *s;
        int r;

        r = fileset_commit(o->fileset);
        if (r < 0)
                return r;
        r = manager_rescan_one(o->manager, o->slug);
        if (r < 0)
                return r;
        s = manager_find(o->manager, o->slug);
        if (!s)
                return -ENOENT;
        service_set_enabled(s, true);
        service_set_next_run(s, o->next_run);
        log_info("%s service %s (%s) version %s.", o->existed ? "Replaced" : "Added", s->slug, s->title, s->version);
        r = sd_bus_reply_method_return(o->request, "o", s->path);
        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
        operation_finish(o);
        return 0;
}

static int step_commit_remove(Operation *o)
{
        int r;

        r = fileset_commit(o->fileset);
        if (r < 0)
                return r;
        r = manager_rescan_one(o->manager, o->slug);
        if (r < 0)
                return r;
        log_info("Removed service %s.", o->slug);
        r = sd_bus_reply_method_return(o->request, NULL);
        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
        operation_finish(o);
        return 0;
}

static int step_undone(Operation *o)
{
        (void) manager_rescan_one(o->manager, o->slug);
        log_warning("Could not install service %s: %s", o->slug, o->error.message);
        reply_error(o, &o->error);
        operation_finish(o);
        return 0;
}

static const step_t steps_add[] = {
        step_reload, step_enable, step_start_timer, step_get_next_run, step_run, step_commit_add, NULL,
};
static const step_t steps_undo_new[] = { step_disable, step_stop_timer, step_stop_service, step_reload, step_undone, NULL };
static const step_t steps_undo_replace[] = { step_reload, step_undone, NULL };
static const step_t steps_remove[] = {
        step_disable, step_stop_timer, step_stop_service, step_reload, step_commit_remove, NULL,
};

/* ---- Failing ---- */

static void operation_undo(Operation *o)
{
        int r = 0;

        o->undoing = true;
        if (o->fileset)
                r = fileset_rollback(o->fileset);
        if (r < 0)
                log_error_errno(r, "Cannot restore the files of service %s", o->slug);
        o->steps = o->existed ? steps_undo_replace : steps_undo_new;
        operation_continue(o);
}

static void operation_fail(Operation *o, const sd_bus_error *error)
{
        const char *name = o->removal ? AGENT_ERROR_REMOVE_FAILED : AGENT_ERROR_INSTALL_FAILED;

        if (o->undoing) {
                /* What is undone is best effort: the next step may still do its part. */
                log_warning("Undoing the installation of %s: %s", o->slug, error->message);
                operation_schedule(o);
                return;
        }
        sd_bus_error_setf(
                &o->error,
                name,
                "Cannot %s service \"%s\": %s",
                o->removal ? "remove" : "install",
                o->slug,
                error->message ?: "unknown error");
        if (o->removal || !o->fileset) {
                reply_error(o, &o->error);
                operation_finish(o);
        } else
                operation_undo(o);
}

static void operation_fail_errno(Operation *o, int error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;

        sd_bus_error_set_errno(&e, error);
        operation_fail(o, &e);
}

/* A unit that is not loaded needs no stopping. */
static bool error_is_harmless(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit");
}

static int on_step_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Operation *o = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        o->slot = sd_bus_slot_unref(o->slot);
        if (e && !error_is_harmless(e))
                operation_fail(o, e);
        else
                operation_continue(o);
        return 0;
}

/* A step returns 0 when its answer (or its end) leads on, and 1 when the next one follows at once. */
static void operation_continue(Operation *o)
{
        int r = 1;

        while (r > 0)
                r = (*o->steps++)(o);
        if (r < 0)
                operation_fail_errno(o, r);
}

/* ---- Adding ---- */

static bool unit_exists_elsewhere(const char *unit)
{
        static const char *const dirs[] = {
                SSI_UNIT_DIR, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
        };

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s", dirs[i], unit) < 0 || access(path, F_OK) >= 0)
                        return true;
        }
        return false;
}

static int install_files(Operation *o, const Verdict *verdict)
{
        const UnitSpec spec = {
                .metadata = verdict->metadata,
                .timeout_usec = verdict->timeout_usec,
                .random_delay_usec = verdict->random_delay_usec,
        };
        _cleanup_free_ char *service = NULL, *timer = NULL;

        service = unit_file_service(&spec);
        timer = unit_file_timer(&spec);
        if (!service || !timer)
                return -ENOMEM;

        const FilesetContent content[_FILESET_MAX] = {
                [FILESET_SCRIPT] = { o->content, strlen(o->content) },
                [FILESET_SERVICE] = { service, strlen(service) },
                [FILESET_TIMER] = { timer, strlen(timer) },
        };
        return fileset_install(SSI_SCRIPT_DIR, SSI_UNIT_DIR, o->slug, content, &o->fileset);
}

static void answer_invalid_script(Operation *o, const Metadata *m)
{
        _cleanup_free_ char *problems = metadata_format_problems(m, o->filename);

        sd_bus_error_setf(&o->error, AGENT_ERROR_INVALID_SCRIPT, "%s", strempty(problems));
        reply_error(o, &o->error);
        operation_finish(o);
}

static void on_validated(int r, Verdict *verdict, void *userdata)
{
        Operation *o = userdata;

        o->validation = NULL;
        if (r < 0) {
                operation_fail_errno(o, r);
                return;
        }
        if (verdict->metadata->n_errors > 0) {
                answer_invalid_script(o, verdict->metadata);
                return;
        }
        o->existed = manager_find(o->manager, o->slug);
        if (o->existed && !o->options.replace)
                sd_bus_error_setf(
                        &o->error,
                        AGENT_ERROR_ALREADY_EXISTS,
                        "A service \"%s\" is installed already; remove it first, or replace it (--replace).",
                        o->slug);
        else if (!o->existed && unit_exists_elsewhere(o->unit))
                sd_bus_error_setf(
                        &o->error,
                        AGENT_ERROR_ALREADY_EXISTS,
                        "A unit %s that is no service-script exists already; give the script another name.",
                        o->unit);
        if (sd_bus_error_is_set(&o->error)) {
                reply_error(o, &o->error);
                operation_finish(o);
                return;
        }
        r = install_files(o, verdict);
        if (r < 0) {
                operation_fail_errno(o, r);
                return;
        }
        o->steps = steps_add;
        operation_continue(o);
}

static int step_validate(Operation *o)
{
        return validation_start(
                o->manager->event,
                TAKE_PTR(o->metadata),
                o->content,
                strlen(o->content),
                on_validated,
                o,
                &o->validation);
}

/* ---- Removing ---- */

static int step_remove_files(Operation *o)
{
        int r;

        if (!manager_find(o->manager, o->slug)) {
                sd_bus_error_setf(&o->error, AGENT_ERROR_NO_SUCH_SERVICE, "No service \"%s\" is installed.", o->slug);
                reply_error(o, &o->error);
                operation_finish(o);
                return 0;
        }
        r = fileset_remove(SSI_SCRIPT_DIR, SSI_UNIT_DIR, o->slug, &o->fileset);
        if (r < 0)
                return r;
        o->steps = steps_remove;
        return 1;
}

static const step_t steps_begin_add[] = { step_validate, NULL };
static const step_t steps_begin_remove[] = { step_remove_files, NULL };

/* ---- Queue ---- */

static int operation_new(Manager *m, sd_bus_message *request, const char *slug, sd_bus_error *error, Operation **ret)
{
        _cleanup_(operation_freep) Operation *o = NULL;
        unsigned n;
        Operation *i;

        DL_COUNT(m->operations, i, n);
        if (n >= OPERATIONS_MAX)
                return sd_bus_error_set(
                        error, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many changes are waiting; try again in a moment.");
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->manager = m;
        o->request = sd_bus_message_ref(request);
        o->slug = strdup(slug);
        o->unit = slug_to_unit(slug, ".service");
        o->timer = slug_to_unit(slug, ".timer");
        if (!o->slug || !o->unit || !o->timer)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static void operation_enqueue(Operation *o)
{
        Manager *m = o->manager;

        DL_APPEND(m->operations, o);
        if (m->operations == o)
                operation_schedule(o);
}

int operation_add(
        Manager *m,
        sd_bus_message *request,
        const char *filename,
        const char *content,
        Metadata *metadata_taken,
        const AddOptions *options,
        sd_bus_error *error)
{
        _cleanup_(metadata_freep) Metadata *metadata = metadata_taken;
        _cleanup_(operation_freep) Operation *o = NULL;
        int r;

        r = operation_new(m, request, metadata->slug, error, &o);
        if (r < 0)
                return r;
        o->filename = strdup(filename);
        o->content = strdup(content);
        if (!o->filename || !o->content)
                return -ENOMEM;
        o->metadata = TAKE_PTR(metadata);
        o->options = *options;
        o->steps = steps_begin_add;
        operation_enqueue(TAKE_PTR(o));
        return 0;
}

int operation_remove(Manager *m, sd_bus_message *request, const char *slug, sd_bus_error *error)
{
        _cleanup_(operation_freep) Operation *o = NULL;
        int r;

        r = operation_new(m, request, slug, error, &o);
        if (r < 0)
                return r;
        o->removal = true;
        o->steps = steps_begin_remove;
        operation_enqueue(TAKE_PTR(o));
        return 0;
}
