/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <time.h>
#include <utlist.h>

#include "admin/internal.h"
#include "model/audit.h"
#include "shared/log.h"
#include "shared/time-util.h"
#include "admin/admin.sql.h"

#define RETRY_USEC  (30 * USEC_PER_SEC)
#define SAMPLE_USEC (10 * USEC_PER_SEC)

/* ---- Calls ---- */

static int describe_caller(Admin *a, sd_bus_message *m, char **ret)
{
        char who[32];
        const AuditActor actor = { .who = who, .address = AUDIT_BUS, .method = AUDIT_BUS };
        uid_t uid;
        int r;

        r = polkit_sender_uid(a->polkit, m, &uid);
        if (r < 0)
                return r;
        snprintf(who, sizeof(who), "uid %u", (unsigned) uid);
        *ret = audit_actor_text(&actor);
        return *ret ? 0 : -ENOMEM;
}

int admin_call_new(Admin *a, sd_bus_message *m, AdminCall **ret)
{
        AdminCall *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        r = describe_caller(a, m, &c->actor);
        if (r < 0) {
                free(c);
                return r;
        }
        c->admin = a;
        c->m = sd_bus_message_ref(m);
        DL_APPEND(a->calls, c);
        *ret = c;
        return 0;
}

AdminCall *admin_call_free(AdminCall *c)
{
        if (!c)
                return NULL;
        DL_DELETE(c->admin->calls, c);
        sd_bus_message_unref(c->m);
        for (size_t i = 0; i < ELEMENTSOF(c->text); i++)
                free(c->text[i]);
        free(c->actor);
        free(c);
        return NULL;
}

void admin_reply_error(AdminCall *c, const char *name, const char *format, ...)
{
        char full[96], message[512];
        va_list ap;
        int r;

        snprintf(full, sizeof(full), SERVER_ERROR_PREFIX "%s", name);
        va_start(ap, format);
        vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        r = sd_bus_reply_method_errorf(c->m, full, "%s", message);
        if (r < 0)
                log_debug_errno(r, "Cannot answer on the bus");
}

void admin_reply_no_user(AdminCall *c)
{
        admin_reply_error(c, "NoSuchUser", "The user does not exist; \"ssictl server users\" lists all users.");
}

void admin_reply_failure(AdminCall *c, PGresult *res, int error)
{
        if (error == -ENOTCONN || error == -ECONNRESET || error == -ECANCELED || error == -EBUSY)
                admin_reply_error(c, "NotReady", "The database is not available; see the journal of ssi-serverd.");
        else
                admin_reply_error(c, "Failed", "The database reported an error: %s", db_result_message(res));
}

void admin_reply(AdminCall *c, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_return(c->m, &reply);
        if (r >= 0 && types[0]) {
                va_start(ap, types);
                r = sd_bus_message_appendv(reply, types, ap);
                va_end(ap);
        }
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                log_debug_errno(r, "Cannot answer on the bus");
}

void admin_reply_list(AdminCall *c, PGresult *res, int error, const char *type,
                      int (*append)(sd_bus_message *reply, PGresult *res, int row), const char *what)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (error < 0) {
                admin_reply_failure(c, res, error);
                return;
        }
        r = sd_bus_message_new_method_return(c->m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', type);
        for (int i = 0; i < PQntuples(res) && r >= 0; i++)
                r = append(reply, res, i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                admin_reply_error(c, "Failed", "Cannot list the %s: %s", what, strerror(-r));
}

void admin_act_begin(AdminCall *c, void (*done)(AdminCall *c, PGresult *res, int error))
{
        c->done = done;
}

void admin_act_done(PGresult *res, int error, void *userdata)
{
        _cleanup_(admin_call_freep) AdminCall *c = userdata;

        c->done(c, res, error);
        if (error == 0)
                audit_journal(res);
}

void admin_act_begun(AdminCall *c_taken, int r)
{
        if (r < 0)
                admin_act_done(NULL, r, c_taken);
}

int admin_method_act(Admin *a, sd_bus_message *m, sd_bus_error *error, admin_operation_t operation,
                     void (*done)(AdminCall *c, PGresult *res, int error))
{
        const char *name;
        AdminCall *c;
        int r;

        r = admin_call_begin(a, m, &c, error, "s", &name);
        if (r != 0)
                return r;
        admin_act_begin(c, done);
        admin_act_begun(c, operation(a->backend, name, c->actor, admin_act_done, c));
        return 1;
}

void admin_query(AdminCall *c_taken, const char *sql, unsigned n_params, const char *const *params,
                 void (*done)(AdminCall *c, PGresult *res, int error))
{
        admin_act_begin(c_taken, done);
        admin_act_begun(c_taken,
                        backend_query(c_taken->admin->backend, sql, n_params, params, admin_act_done, c_taken));
}

int admin_authorize(Admin *a, sd_bus_message *m, sd_bus_error *error)
{
        int r;

        r = bus_verify_polkit_async(m, ADMIN_ACTION, a->polkit, error);
        if (r < 0)
                admin_audit_refused(a, m, error);
        return r > 0 ? 0 : bus_answered_elsewhere(r);
}

static int begin(Admin *a, sd_bus_message *m, bool offline, sd_bus_error *error, const char *types, va_list ap)
{
        int r;

        r = admin_authorize(a, m, error);
        if (r != 0)
                return r;
        if (!offline && !backend_is_ready(a->backend))
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "NotReady",
                                        "The database is not available; see the journal of ssi-serverd.");
        r = isempty(types) ? 0 : sd_bus_message_readv(m, types, ap);
        return MIN(r, 0);
}

int admin_method_begin(Admin *a, sd_bus_message *m, sd_bus_error *error, const char *types, ...)
{
        va_list ap;
        int r;

        va_start(ap, types);
        r = begin(a, m, false, error, types, ap);
        va_end(ap);
        return r;
}

int admin_method_begin_offline(Admin *a, sd_bus_message *m, sd_bus_error *error, const char *types, ...)
{
        va_list ap;
        int r;

        va_start(ap, types);
        r = begin(a, m, true, error, types, ap);
        va_end(ap);
        return r;
}

static int no_option(sd_bus_message *m, const char *name, void *userdata)
{
        return -ENOENT;
}

int admin_read_no_options(sd_bus_message *m, sd_bus_error *error)
{
        return bus_read_options(m, no_option, NULL, SERVER_ERROR_PREFIX "InvalidOption", error);
}

int admin_call_begin(Admin *a, sd_bus_message *m, AdminCall **ret, sd_bus_error *error, const char *types, ...)
{
        va_list ap;
        int r;

        va_start(ap, types);
        r = begin(a, m, false, error, types, ap);
        va_end(ap);
        if (r != 0)
                return r;
        r = admin_read_no_options(m, error);
        return r < 0 ? r : admin_call_new(a, m, ret);
}

int admin_method_list(Admin *a, sd_bus_message *m, sd_bus_error *error, const char *sql, unsigned n_params,
                      const char *const *params, void (*done)(AdminCall *c, PGresult *res, int error))
{
        AdminCall *c;
        int r;

        r = admin_call_begin(a, m, &c, error, "");
        if (r != 0)
                return r;
        admin_query(c, sql, n_params, params, done);
        return 1;
}

/* ---- Statistics ---- */

static uint64_t figure(PGresult *res, int column)
{
        return strtoull(PQgetvalue(res, 0, column), NULL, 10);
}

static void sampled(PGresult *res, int error, void *userdata)
{
        Admin *a = userdata;
        AdminStats old = a->stats, *s = &a->stats;

        a->sampling = false;
        if (error < 0 || PQntuples(res) != 1)
                return;
        *s = (AdminStats){
                .users = figure(res, 0),
                .servers = figure(res, 1),
                .sessions = figure(res, 2),
                .services = figure(res, 3),
                .inserted = figure(res, 4),
                .schema_version = figure(res, 5),
                .sign_up = sign_up_of(a->backend, PQgetisnull(res, 0, 6) ? NULL : PQgetvalue(res, 0, 6)),
                .inserted_at = now_usec(CLOCK_MONOTONIC),
                .events_per_second = old.events_per_second,
        };
        /* A count that decreased comes from another database: a restored one. */
        if (old.inserted_at > 0 && s->inserted >= old.inserted && s->inserted_at > old.inserted_at + USEC_PER_SEC)
                s->events_per_second = (double) (s->inserted - old.inserted) * USEC_PER_SEC /
                                       (double) (s->inserted_at - old.inserted_at);
        else if (old.inserted_at > 0 && s->inserted_at <= old.inserted_at + USEC_PER_SEC) {
                s->inserted = old.inserted;
                s->inserted_at = old.inserted_at;
        }
        admin_emit_changed(a);
}

/* PostgreSQL itself counts the history's rows: for all instances, without a scan. */
void admin_sample(Admin *a)
{
        if (!a->bus || a->sampling || !backend_is_ready(a->backend))
                return;
        a->sampling = true;
        if (backend_query(a->backend, SQL(admin_sample), sampled, a) < 0)
                a->sampling = false;
}

static int on_sample(sd_event_source *source, uint64_t usec, void *userdata)
{
        admin_sample(userdata);
        (void) sd_event_source_set_time_relative(source, SAMPLE_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void admin_ready_changed(Admin *a)
{
        if (!a)
                return;
        admin_emit_changed(a);
        admin_sample(a);
        admin_job_ready_changed(a->job);
        if (a->failed_restore_by && backend_is_ready(a->backend)) {
                admin_audit(a, "restore.failed", "failed", a->failed_restore_by);
                free(TAKE_PTR(a->failed_restore_by));
        }
}

/* ---- The connection ---- */

static void disconnect(Admin *a)
{
        a->check = check_free(a->check);
        admin_job_abandon(a->job);
        a->turns = bus_turns_free(a->turns);
        a->polkit = polkit_registry_free(a->polkit);
        a->bus = sd_bus_close_unref(a->bus);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;

        /* sd-bus itself sends this signal, after the connection has ended; a bus does not forward it. */
        if (sd_bus_is_open(a->bus) > 0)
                return 0;
        log_notice("The system bus went away, serving without.");
        (void) sd_event_source_set_time_relative(a->retry_timer, USEC_PER_SEC);
        return sd_event_source_set_enabled(a->retry_timer, SD_EVENT_ONESHOT);
}

static int try_connect(Admin *a)
{
        int r;

        r = polkit_registry_new(&a->polkit);
        if (r < 0)
                return r;
        r = sd_bus_open_system(&a->bus);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(a->bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, a);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(a->bus, a->backend->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        r = bus_turns_new(a->bus, a->polkit, &a->turns);
        if (r < 0)
                return r;
        r = admin_add_object(a);
        if (r < 0)
                return r;
        return bus_request_name(a->bus, SERVER_BUS_NAME);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Admin *a = userdata;
        int r;

        disconnect(a);
        r = try_connect(a);
        if (r >= 0) {
                admin_sample(a);
                return 0;
        }
        log_debug_errno(r, "No system bus");
        disconnect(a);
        (void) sd_event_source_set_time_relative(source, RETRY_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int make_url(const Config *config, char **ret)
{
        char host[65] = "localhost";

        if (config->public_url) {
                *ret = strdup(config->public_url);
                return *ret ? 0 : -ENOMEM;
        }
        (void) gethostname(host, sizeof(host) - 1);
        if (asprintf(ret, "https://%s:8443", host) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

int admin_new(Backend *backend, const AdminConfig *config, Admin **ret)
{
        _cleanup_(admin_freep) Admin *a = NULL;
        int r;

        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->backend = backend;
        a->signs = config->signs;
        a->restart = config->restart;
        a->restart_userdata = config->restart_userdata;
        r = free_and_strdup(&a->ca_file, config->ca_file);
        if (r >= 0)
                r = free_and_strdup(&a->cert_file, config->cert_file);
        if (r >= 0)
                r = free_and_strdup(&a->joined, config->joined);
        if (r < 0)
                return r;
        r = make_url(backend->config, &a->url);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(backend->event, &a->retry_timer, CLOCK_MONOTONIC, 0, 0, on_retry, a);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(backend->event, &a->stats_timer, CLOCK_MONOTONIC, SAMPLE_USEC, USEC_PER_SEC,
                                       on_sample, a);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}

Admin *admin_free(Admin *a)
{
        if (!a)
                return NULL;
        sd_event_source_disable_unref(a->retry_timer);
        sd_event_source_disable_unref(a->stats_timer);
        admin_job_free(a->job);
        while (a->calls)
                admin_call_free(a->calls);
        if (a->bus)
                (void) sd_bus_flush(a->bus);
        disconnect(a);
        free(a->ca_file);
        free(a->cert_file);
        free(a->joined);
        free(a->url);
        free(a->failed_restore_by);
        free(a);
        return NULL;
}
