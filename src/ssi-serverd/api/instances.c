/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/field.h"
#include "config/share.h"
#include "core/schema.h"
#include "db/local.h"
#include "loop/worker.h"
#include "model/instance.h"
#include "notify/notifier.h"
#include "shared/io-util.h"
#include "shared/log.h"
#include "shared/time-util.h"
#include "shared/tls/pem-text.h"
#include "tls/authority.h"

#include <openssl/x509v3.h>

/* A host that joins (docs/adr/0054):
 *
 * 1. the token is looked up, and guesses are counted;
 * 2. if the host asks for a certificate, the authority's helper signs one: in a worker thread, as it blocks;
 * 3. the token is used up, which is recorded, and the host gets the settings.
 *
 * One that has joined and needs its next certificate (docs/adr/0065) takes the same steps; in place of the token, its name in the
 * database must be among those of its certificate, and the helper judges the rest. */

#define TOKEN_BYTES 256
#define KEY_BYTES   4096
#define CERT_BYTES  16384
#define PROOF_BYTES 256

/* A request in its second step. */
typedef struct SignJob {
        ApiCall *call;
        bool renews;
        AuthorityRequest request;
        AuthorityRenewal renewal;
        char *token, *before, *public_key, *proof;
        char *cert, *authority, *message;
        int r;
} SignJob;

static void sign_job_free(SignJob *j)
{
        if (!j)
                return;
        tls_names_done(&j->request.names);
        free(j->token);
        free(j->before);
        free(j->public_key);
        free(j->proof);
        free(j->cert);
        free(j->authority);
        free(j->message);
        free(j);
}
DEFINE_CLEANUP(SignJob *, sign_job_free);

/* ---- The answer ---- */

static int add_credentials(json_object *o)
{
        static const char *const names[] = { "smtp.password" };
        json_object *list = json_object_new_array();
        int r;

        r = json_add_take(o, "credentials", list);
        for (size_t i = 0; i < ELEMENTSOF(names) && r >= 0; i++) {
                _cleanup_free_ char *path = NULL;

                if (credential_path(names[i], &path) > 0 &&
                    json_object_array_add(list, json_object_new_string(names[i])) < 0)
                        r = -ENOMEM;
        }
        return r;
}

/* text[0]: the certificate, text[1]: the authority's; NULL when none was asked for. */
static int describe(ApiCall *c, json_object *o)
{
        json_object *settings = NULL;
        int r;

        r = config_shared(c->backend->config, &settings);
        if (r >= 0)
                r = json_add_take(o, "settings", settings);
        if (r >= 0)
                r = add_credentials(o);
        if (r >= 0)
                r = json_add_string(o, "version", SSI_VERSION);
        if (r >= 0)
                r = json_add_string(o, "push_key", notifier_push_key_private(c->backend->notifier));
        if (r >= 0)
                r = json_add_string(o, "certificate", c->text[0]);
        if (r >= 0)
                r = json_add_string(o, "authority", c->text[1]);
        return r;
}

static void respond_refused(ApiCall *c)
{
        login_throttle_network_failed(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));
        http_respond_problem(c->req, 401, "bad-join-token",
                             "The join token is unknown, used or expired; make a new one: ssictl server join-token");
        api_refused(c, "instance.join-refused", AUDIT_REFUSED, "join token");
}

static void used(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *o = NULL;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                respond_refused(c);
                return;
        }
        o = json_object_new_object();
        if (!o || describe(c, o) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 200, TAKE_PTR(o));
}

static void use_token(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const JoiningHost h = { json_get_string(body, "host"), json_get_string(body, "hostname") };

        api_act_begin(c, used);
        api_act_begun(c, join_token_use(c->backend, json_get_string(body, "token"), &h, api_actor_by(c, "join token"),
                                        api_act_done, c));
}

/* ---- The answer to one that has joined ---- */

static void respond_not_renewed(ApiCall *c)
{
        login_throttle_network_failed(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));
        http_respond_problem(c->req, 401, "not-renewable",
                             "This is not the last certificate of a host that has joined, or it has ended. Join again: "
                             "ssictl server join-token on the first host");
        api_refused(c, "instance.renew-refused", AUDIT_REFUSED, "certificate");
}

static void recorded(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *o = NULL;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                respond_not_renewed(c);
                return;
        }
        o = json_object_new_object();
        if (!o || json_add_string(o, "certificate", c->text[0]) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 200, TAKE_PTR(o));
}

static void record_renewal(ApiCall *c)
{
        const char *host = json_get_string(http_request_json(c->req), "host");

        api_act_begin(c, recorded);
        api_act_begun(c, instance_renewed(c->backend, host, api_actor_by(c, "certificate"), api_act_done, c));
}

/* ---- The certificate ---- */

static void sign_work(void *userdata)
{
        SignJob *j = userdata;

        j->r = j->renews ? authority_renew_host(&j->renewal, &j->cert, &j->message) :
                           authority_sign_host(&j->request, &j->cert, &j->authority, &j->message);
}

static void sign_done(void *userdata)
{
        _cleanup_(sign_job_freep) SignJob *j = userdata;
        ApiCall *c = j->call;
        HttpRequest *req = c->req;
        const char *const *before = http_request_log_enter(req);

        if (j->r >= 0) {
                c->text[0] = TAKE_PTR(j->cert);
                c->text[1] = TAKE_PTR(j->authority);
                (j->renews ? record_renewal : use_token)(c);
        } else if (j->r == -EACCES)
                (j->renews ? respond_not_renewed : respond_refused)(c);
        else if (j->r == -ENOTCONN)
                http_respond_problem(c->req, 409, "no-authority",
                                     "This host has no certificate authority (ssi-server-ca.service). Give the other "
                                     "host a certificate: SSI_TLS_CERT and SSI_TLS_KEY.");
        else {
                log_warning_errno(j->r, "Cannot sign a certificate for another host (%s)", strempty(j->message));
                http_respond_problem(c->req, 409, "not-signed", j->message ?: "The certificate authority failed.");
        }
        log_set_fields(before);
        http_request_unref(req);
}

/* False if it has answered. */
static bool parse_names(ApiCall *c, json_object *body, TlsNames *ret)
{
        json_object *list = json_get_array(body, "names");
        size_t n = list ? json_object_array_length(list) : 0;
        int r = n == 0 ? -EINVAL : 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                json_object *o = json_object_array_get_idx(list, i);

                r = json_object_is_type(o, json_type_string) ? tls_names_add(ret, json_object_get_string(o)) : -EINVAL;
        }
        if (r == -ENOMEM)
                api_fail(c, NULL, r);
        else if (r < 0)
                api_invalid(c, "names must be an array of 1 to %d names and addresses.", TLS_NAMES_MAX);
        return r >= 0;
}

/* Of what both kinds of request have. NULL if it has answered. */
static SignJob *sign_job_new(ApiCall *c, json_object *body)
{
        _cleanup_(sign_job_freep) SignJob *j = calloc(1, sizeof(*j));
        const char *key, *proof;

        key = api_body_string(c, body, "public_key", 1, KEY_BYTES);
        proof = key ? api_body_string(c, body, "proof", 0, PROOF_BYTES) : NULL;
        if (!proof)
                return NULL;
        if (!j || !(j->public_key = strdup(key)) || !(j->proof = strdup(proof))) {
                api_fail(c, NULL, -ENOMEM);
                return NULL;
        }
        j->call = c;
        return TAKE_PTR(j);
}

static void sign_job_start(SignJob *taken)
{
        _cleanup_(sign_job_freep) SignJob *j = taken;
        ApiCall *c = j->call;
        int r;

        r = worker_run(http_server_uv(c->backend->http), sign_work, sign_done, j);
        if (r < 0) {
                api_fail(c, NULL, r);
                return;
        }
        http_request_ref(c->req);
        TAKE_PTR(j);
}

/* token: its ID. */
static void sign(ApiCall *c, const char *token)
{
        json_object *body = http_request_json(c->req);
        _cleanup_(sign_job_freep) SignJob *j = sign_job_new(c, body);

        if (!j || !parse_names(c, body, &j->request.names))
                return;
        j->token = strdup(token);
        if (!j->token) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        j->request.token = j->token;
        j->request.public_key = j->public_key;
        j->request.proof = j->proof;
        sign_job_start(TAKE_PTR(j));
}

static void sign_again(ApiCall *c, const char *cert)
{
        _cleanup_(sign_job_freep) SignJob *j = sign_job_new(c, http_request_json(c->req));

        if (!j)
                return;
        j->renews = true;
        j->before = strdup(cert);
        if (!j->before) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        j->renewal = (AuthorityRenewal){ j->before, j->public_key, j->proof };
        sign_job_start(TAKE_PTR(j));
}

/* ---- The request ---- */

/* Before the token is used up: what would not work anyway. */
static bool is_possible(ApiCall *c, json_object *body)
{
        bool own_database = false;
        int64_t schema = 0;
        int oldest, newest;

        (void) json_get_bool(body, "own_database", &own_database);
        (void) json_get_int64(body, "schema", &schema);
        if (schema_range(c->backend, &oldest, &newest) >= 0 && schema < newest) {
                http_respond_problem(c->req, 409, "too-old",
                                     "The version of SSI on that host is older than " SSI_VERSION
                                     ", which runs here: upgrade it first.");
                return false;
        }
        if (!own_database && db_is_local(c->backend->config->database_url)) {
                http_respond_problem(
                        c->req, 409, "local-database",
                        "The database can be reached from the first host only. Move it to a PostgreSQL that "
                        "both hosts reach, and set SSI_DATABASE_URL: see administration.md, \"A second host\".");
                return false;
        }
        return true;
}

static void looked(ApiCall *c, PGresult *res, int error)
{
        json_object *body = http_request_json(c->req);

        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                respond_refused(c);
        else if (!is_possible(c, body))
                return;
        else if (json_object_object_get_ex(body, "public_key", NULL))
                sign(c, PQgetvalue(res, 0, 0));
        else
                use_token(c);
}

/* True if it has answered, as there were too many guesses from there. */
static bool is_throttled(ApiCall *c, const char *event, const char *method)
{
        uint64_t wait = login_throttle_check_network(c->backend->throttle, c->network, now_usec(CLOCK_MONOTONIC));

        if (wait == 0)
                return false;
        api_respond_busy(c, wait);
        api_refused(c, event, AUDIT_THROTTLED, method);
        return true;
}

static void join(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *token;

        if (!body)
                return;
        token = api_body_string(c, body, "token", 1, TOKEN_BYTES);
        if (!token || !api_body_line(c, body, "host", 1, HOST_ID_MAX - 1) ||
            !api_body_line(c, body, "hostname", 1, HOSTNAME_MAX - 1))
                return;
        if (is_throttled(c, "instance.join-refused", "join token"))
                return;
        api_act_begin(c, looked);
        api_act_begun(c, join_token_look(c->backend, token, api_act_done, c));
}

static bool is_for(const char *cert_text, const char *name)
{
        _cleanup_(x509_freep) X509 *cert = NULL;

        return pem_text_to_cert(cert_text, &cert) >= 0 && X509_check_host(cert, name, 0, 0, NULL) == 1;
}

static void found(ApiCall *c, PGresult *res, int error)
{
        const char *cert = json_get_string(http_request_json(c->req), "certificate");

        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0 || !is_for(cert, PQgetvalue(res, 0, 0)))
                respond_not_renewed(c);
        else
                sign_again(c, cert);
}

static void renew(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *host;

        if (!body)
                return;
        host = api_body_line(c, body, "host", 1, HOST_ID_MAX - 1);
        if (!host || !api_body_string(c, body, "certificate", 1, CERT_BYTES))
                return;
        if (is_throttled(c, "instance.renew-refused", "certificate"))
                return;
        api_act_begin(c, found);
        api_act_begun(c, instance_renew_look(c->backend, host, api_act_done, c));
}

const ApiRoute api_instance_routes[] = {
        { "POST", "/api/v1/instances/join", API_OPEN, join },
        { "POST", "/api/v1/instances/renew", API_OPEN, renew },
        {},
};
