/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/first-host.h"
#include "admin/internal.h"
#include "admin/join-client.h"
#include "admin/join-files.h"
#include "config/share.h"
#include "core/schema.h"
#include "db/local.h"
#include "loop/worker.h"
#include "model/instance.h"
#include "shared/log.h"

/* Join and Leave: this host comes into service, and goes. Both end with a restart, with other settings. */

#define TOKEN_MAX_LENGTH 256

typedef struct JoinJob {
        AdminCall *call;
        char *address, *token, *pin;
        json_object *own_settings;
        JoinRequest request;
        JoinResult result;
} JoinJob;

static void job_free(JoinJob *j)
{
        if (!j)
                return;
        if (j->token)
                explicit_bzero(j->token, strlen(j->token));
        free(j->address);
        free(j->token);
        free(j->pin);
        json_object_put(j->own_settings);
        join_result_done(&j->result);
        admin_call_free(j->call);
        free(j);
}
DEFINE_CLEANUP(JoinJob *, job_free);

static void reply_joined(AdminCall *c, json_object *credentials)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        size_t n = credentials ? json_object_array_length(credentials) : 0;
        int r;

        r = sd_bus_message_new_method_return(c->m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(reply, "s",
                                          strempty(json_object_get_string(json_object_array_get_idx(credentials, i))));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                log_debug_errno(r, "Cannot answer on the bus");
}

static void join_work(void *userdata)
{
        JoinJob *j = userdata;

        join_perform(&j->request, &j->result);
}

static void join_done(void *userdata)
{
        _cleanup_(job_freep) JoinJob *j = userdata;
        Admin *a = j->call->admin;

        a->joining = false;
        if (j->result.error) {
                log_notice("Did not join %s: %s", j->address, strempty(j->result.message));
                admin_reply_error(j->call, j->result.error, "%s", strempty(j->result.message));
                return;
        }
        log_info("Joined the backend at %s; restarting.", j->address);
        reply_joined(j->call, j->result.credentials);
        a->restart(a->restart_userdata);
}

/* What a restart as part of another backend would hide. */
static bool has_accounts_of_its_own(const Admin *a)
{
        return !a->joined && backend_is_ready(a->backend) && db_is_local(a->backend->config->database_url) &&
               a->stats.users > 0;
}

static int check(const Admin *a, const char *address, const char *token, const char *pin, sd_bus_error *error)
{
        if (!first_host_address_is_valid(address))
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "The address must be https://HOST or https://HOST:PORT.");
        if (isempty(token) || strlen(token) > TOKEN_MAX_LENGTH)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "That is not a join token.");
        if (!join_pin_is_valid(pin))
                return sd_bus_error_set(
                        error, SD_BUS_ERROR_INVALID_ARGS,
                        "The pinned key must be sha256// and 44 characters, as printed by \"ssictl server "
                        "join-token\".");
        if (a->joining)
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InProgress", "This host is joining already.");
        if (has_accounts_of_its_own(a))
                return sd_bus_error_set(
                        error, SERVER_ERROR_PREFIX "NotEmpty",
                        "This host runs a backend of its own, with accounts, which would no longer be served. Remove "
                        "them first (ssictl server remove-user), or join with another host.");
        return 0;
}

static int start_job(Admin *a, sd_bus_message *m, const char *address, const char *token, const char *pin)
{
        _cleanup_(job_freep) JoinJob *j = calloc(1, sizeof(*j));
        int r, oldest;

        if (!j)
                return -ENOMEM;
        r = admin_call_new(a, m, &j->call);
        if (r >= 0)
                r = free_and_strdup(&j->address, address);
        if (r >= 0)
                r = free_and_strdup(&j->token, token);
        if (r >= 0)
                r = free_and_strdup(&j->pin, pin);
        if (r >= 0)
                r = config_shared_own(a->backend->config, &j->own_settings);
        if (r >= 0)
                r = schema_range(a->backend, &oldest, &j->request.schema);
        if (r < 0)
                return r;
        j->request.dir = SSI_SERVER_JOIN_DIR;
        j->request.address = j->address;
        j->request.token = j->token;
        j->request.pin = j->pin;
        j->request.host = a->backend->host;
        j->request.hostname = a->backend->hostname;
        j->request.own_certificate = !a->ca_file;
        j->request.own_push_key = a->backend->config->push_key && !a->joined;
        j->request.own_settings = j->own_settings;
        r = worker_run(http_server_uv(a->backend->http), join_work, join_done, j);
        if (r < 0)
                return r;
        a->joining = true;
        TAKE_PTR(j);
        return 1;
}

int admin_method_join(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *address, *token, *pin;
        Admin *a = userdata;
        int r;

        r = admin_method_begin_offline(a, m, error, "sss", &address, &token, &pin);
        if (r != 0)
                return r;
        r = admin_read_no_options(m, error);
        if (r >= 0)
                r = check(a, address, token, pin, error);
        return r < 0 ? r : start_job(a, m, address, token, pin);
}

/* ---- Leave ---- */

static void left(AdminCall *c, PGresult *res, int error)
{
        Admin *a = c->admin;
        int r;

        if (error < 0) {
                admin_reply_failure(c, res, error);
                return;
        }
        r = join_undo(SSI_SERVER_JOIN_DIR);
        if (r < 0) {
                admin_reply_error(c, "Failed", "Cannot remove the files in " SSI_SERVER_JOIN_DIR ": %s", strerror(-r));
                return;
        }
        log_info("This host has left the backend; restarting, out of service.");
        admin_reply(c, "");
        a->restart(a->restart_userdata);
}

int admin_method_leave(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        AdminCall *c;
        int r;

        r = admin_call_begin(a, m, &c, error, "");
        if (r != 0)
                return r;
        if (!a->joined) {
                admin_call_free(c);
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "NotJoined",
                                        "This host was not put into service with \"ssictl server join\".");
        }
        admin_act_begin(c, left);
        admin_act_begun(c, instance_leave(a->backend, c->actor, admin_act_done, c));
        return 1;
}
