/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-util.h"
#include "shared/log.h"
#include "operation-internal.h"
#include "schedule.h"
#include "metadata-bus.h"
#include "privilege.h"
#include "unit-file.h"

/* Units left over from a service that was partly removed by hand do not count as foreign. */
static bool foreign_unit_exists(const char *unit)
{
        static const char *const dirs[] = {
                "/run/systemd/system",
                "/usr/local/lib/systemd/system",
                "/usr/lib/systemd/system",
                "/lib/systemd/system",
        };

        if (unit_file_find(unit) == UNIT_FILE_FOREIGN)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s", dirs[i], unit) < 0 || access(path, F_OK) >= 0)
                        return true;
        }
        return false;
}

static int step_run(Operation *o);
static int step_commit(Operation *o);

static const step_t steps_unchanged[] = {
        step_start_stopped_timer, step_get_next_run, step_get_timeout, step_run, step_commit, NULL,
};

/* RandomizedDelaySec= is ignored: for an irregular schedule, it depends on when it was computed. */
static const char *next_line(const char **s, size_t *ret_n)
{
        const char *line;

        do {
                line = *s;
                *ret_n = strcspn(line, "\n");
                *s = line + *ret_n + (line[*ret_n] == '\n');
        } while (startswith(line, "RandomizedDelaySec="));
        return line;
}

static bool unit_is(const char *unit, const char *text)
{
        _cleanup_free_ char *installed = NULL;
        const char *a, *b = text;

        if (unit_file_read(unit, UNIT_FILE_SIZE_MAX, &installed) < 0)
                return false;
        a = installed;
        while (*a || *b) {
                size_t n, m;
                const char *x = next_line(&a, &n), *y = next_line(&b, &m);

                if (n != m || memcmp(x, y, n) != 0)
                        return false;
        }
        return true;
}

static bool is_installed(const Operation *o, const char *service, const char *timer)
{
        _cleanup_free_ char *script = NULL, *path = NULL;
        size_t n;

        return o->existed && o->was_enabled && service_read_script(o->slug, &script, &n) >= 0 &&
               n == strlen(o->content) && memcmp(script, o->content, n) == 0 && unit_is(o->unit, service) &&
               unit_is(o->timer, timer) && asprintf(&path, SSI_SCRIPT_DIR "/%s", o->slug) >= 0 &&
               access(path, X_OK) >= 0;
}

/* If everything is installed already, writes nothing and only starts what was stopped by hand. */
static int install_files(Operation *o, const Verdict *verdict)
{
        const UnitSpec spec = {
                .metadata = verdict->metadata,
                .timeout_usec = verdict->timeout_usec,
                .random_delay_usec = verdict->random_delay_usec,
                .normalized = verdict->normalized,
                .zone_minutes = schedule_host_minutes(),
        };
        _cleanup_free_ char *service = NULL, *timer = NULL;

        service = unit_file_service(&spec);
        timer = unit_file_timer(&spec);
        if (!service || !timer)
                return -ENOMEM;
        if (is_installed(o, service, timer)) {
                o->unchanged = true;
                o->steps = steps_unchanged;
                return 0;
        }

        const FilesetContent content[_FILESET_MAX] = {
                [FILESET_SCRIPT] = { o->content, strlen(o->content) },
                [FILESET_SERVICE] = { service, strlen(service) },
                [FILESET_TIMER] = { timer, strlen(timer) },
        };
        o->changed = true;
        o->reloaded = false;
        return fileset_install(SSI_SCRIPT_DIR, SSI_UNIT_DIR, o->slug, content, &o->fileset);
}

/* Sets o->error if something prevents the installation. */
static void check(Operation *o, const Metadata *m)
{
        if (m->n_errors > 0) {
                _cleanup_free_ char *problems = metadata_format_problems(m, o->filename);

                sd_bus_error_setf(&o->error, AGENT_ERROR_INVALID_SCRIPT, "%s", strempty(problems));
        } else if (o->existed && !o->options.replace)
                sd_bus_error_setf(&o->error, AGENT_ERROR_ALREADY_EXISTS,
                                  "Service \"%s\" is already installed; remove it first, or use --replace.", o->slug);
        else if (!o->existed && (foreign_unit_exists(o->unit) || foreign_unit_exists(o->timer)))
                sd_bus_error_setf(
                        &o->error, AGENT_ERROR_ALREADY_EXISTS,
                        "A unit named ssi-%s that is not a service-script already exists; give the script another name.",
                        o->slug);
}

/* It has waited since it was let in. */
static int check_privilege(Operation *o, const Metadata *m)
{
        _cleanup_free_ char *why = NULL;
        int r;

        if (o->privileged || sd_bus_error_is_set(&o->error))
                return 0;
        r = privilege_to_install(m, o->options.replace, &why);
        if (r > 0)
                (void) privilege_refuse(why ?: "the script's header asks for it", &o->error);
        return MIN(r, 0);
}

static void on_validated(int r, Verdict *verdict, void *userdata)
{
        Operation *o = userdata;
        const Service *s;

        o->validation = NULL;
        if (r < 0) {
                operation_fail_errno(o, r);
                return;
        }
        s = service_find(o->agent, o->slug);
        o->existed = s;
        o->was_enabled = s && s->enabled;
        check(o, verdict->metadata);
        r = check_privilege(o, verdict->metadata);
        if (r < 0) {
                operation_fail_errno(o, r);
                return;
        }
        if (sd_bus_error_is_set(&o->error)) {
                operation_refuse(o);
                return;
        }
        r = install_files(o, verdict);
        o->metadata = TAKE_PTR(verdict->metadata);
        if (r < 0)
                operation_fail_errno(o, r);
        else
                operation_continue(o);
}

static int step_validate(Operation *o)
{
        /* One after another, and let in: it has turns of its own. */
        return validation_start(o->agent->helpers, 0, TAKE_PTR(o->metadata), o->content, strlen(o->content), true,
                                on_validated, o, &o->validation);
}

/* A service of the same name may have been removed by hand and left state behind. */
static int step_clean_new_timer(Operation *o)
{
        return o->existed ? 1 : step_clean_timer(o);
}

static void on_run_started(const char *invocation_id, const sd_bus_error *error, void *userdata)
{
        Operation *o = userdata;

        o->run_start = NULL;
        if (!invocation_id) {
                operation_fail_systemd(o, error);
                return;
        }
        snprintf(o->invocation_id, sizeof(o->invocation_id), "%s", invocation_id);
        operation_continue(o);
}

static int step_run(Operation *o)
{
        return o->options.run ? run_start_new(o->agent, o->unit, on_run_started, o, &o->run_start) : 1;
}

static int answer(Operation *o, const Service *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(o->request, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "oss", s->path,
                                          o->unchanged ? "unchanged" :
                                          o->existed   ? "replaced" :
                                                         "added",
                                          o->invocation_id);
        if (r >= 0)
                r = metadata_append_problems(reply, o->metadata);
        return r < 0 ? r : sd_bus_message_send(reply);
}

static int step_commit(Operation *o)
{
        Service *s;
        int r;

        r = o->unchanged ? 0 : fileset_commit(o->fileset);
        if (r < 0)
                return r;
        r = o->agent->ops->rescan(o->agent, o->slug);
        if (r < 0)
                return r;
        s = service_find(o->agent, o->slug);
        if (!s)
                return -ENOENT;
        service_set_enabled(s, true);
        service_set_next_run(s, o->next_run);
        service_set_timeout(s, o->timeout);
        if (!o->unchanged)
                log_info("%s service %s (%s) version %s.", o->existed ? "Replaced" : "Added", s->slug, s->title,
                         strempty(s->metadata[METADATA_VERSION]));
        r = answer(o, s);
        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
        operation_finish(o);
        return 0;
}

/* ---- Undoing ---- */

static bool undo(Operation *o)
{
        static const step_t steps_new[] = {
                step_disable, step_stop_timer, step_stop_service, step_reload, step_undone, NULL,
        };
        static const step_t steps_enabled[] = { step_reload, step_start_timer, step_undone, NULL };
        static const step_t steps_disabled[] = { step_disable, step_stop_timer, step_reload, step_undone, NULL };

        if (!o->fileset)
                return false;
        operation_restore_files(o);
        o->steps = !o->existed ? steps_new : o->was_enabled ? steps_enabled : steps_disabled;
        return true;
}

int operation_add(Agent *a, sd_bus_message *request, const char *filename, const char *content,
                  Metadata *metadata_taken, const AddOptions *options, sd_bus_error *error)
{
        static const step_t steps[] = {
                step_reload,
                step_look,
                step_validate,
                step_enable,
                step_reload,
                step_look,
                step_clean_new_timer,
                step_start_timer,
                step_get_next_run,
                step_get_timeout,
                step_run,
                step_commit,
                NULL,
        };
        static const OperationKind kind = {
                .verb = "install",
                .error_name = AGENT_ERROR_INSTALL_FAILED,
                .steps = steps + 1, /* the first one serves the look */
                .undo = undo,
        };
        _cleanup_(metadata_freep) Metadata *metadata = metadata_taken;
        _cleanup_(operation_freep) Operation *o = NULL;
        int r;

        r = operation_new(a, &kind, request, metadata->slug, error, &o);
        if (r < 0)
                return r;
        o->filename = strdup(filename);
        o->content = strdup(content);
        if (!o->filename || !o->content)
                return -ENOMEM;
        o->metadata = TAKE_PTR(metadata);
        o->options = *options;
        o->privileged = options->privileged;
        operation_enqueue(TAKE_PTR(o));
        return 0;
}
