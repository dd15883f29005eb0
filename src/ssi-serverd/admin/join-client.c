/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libpq-fe.h>
#include <stdarg.h>

#include "admin/first-host.h"
#include "admin/join-client.h"
#include "admin/join-files.h"
#include "admin/join.sql.h"
#include "config/share.h"
#include "shared/tls/join-proof.h"
#include "shared/tls/pem-text.h"

#define DATABASE_SECONDS "10"
#define PIN_PREFIX       "sha256//"
#define PIN_HASH_LENGTH  44

DEFINE_CLEANUP(PGconn *, PQfinish);
DEFINE_CLEANUP(PGresult *, PQclear);

void join_result_done(JoinResult *r)
{
        free(r->message);
        json_object_put(r->credentials);
        *r = (JoinResult){};
}

/* Nothing else, because curl takes other texts for the names of files. */
bool join_pin_is_valid(const char *s)
{
        const char *hash = startswith(s, PIN_PREFIX);

        return hash && strlen(hash) == PIN_HASH_LENGTH && hash[PIN_HASH_LENGTH - 1] == '=' &&
               strspn(hash, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/") == PIN_HASH_LENGTH - 1;
}

static _printf_(3, 4) int fail(JoinResult *ret, const char *error, const char *format, ...)
{
        va_list ap;

        ret->error = error;
        free(TAKE_PTR(ret->message));
        va_start(ap, format);
        if (vasprintf(&ret->message, format, ap) < 0)
                ret->message = NULL;
        va_end(ap);
        return -EPROTO;
}

static int fail_errno(JoinResult *ret, const char *what, int r)
{
        return fail(ret, "JoinFailed", "%s: %s", what, strerror(-r));
}

/* ---- The request ---- */

static int add_names(json_object *o, const TlsNames *names)
{
        json_object *list = json_object_new_array();
        int r;

        r = json_add_take(o, "names", list);
        for (size_t i = 0; i < names->n && r >= 0; i++)
                if (json_object_array_add(list, json_object_new_string(names->names[i])) < 0)
                        r = -ENOMEM;
        return r;
}

/* With the second part of the token. */
static int add_certificate_request(json_object *o, const char *secret, EVP_PKEY *key)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_free_ char *public_key = NULL;
        char proof[JOIN_PROOF_MAX];
        int r;

        r = tls_names_of_host(true, &names);
        if (r >= 0)
                r = pem_text_of_public(key, &public_key);
        if (r >= 0)
                r = join_proof(secret, public_key, &names, proof);
        if (r >= 0)
                r = json_add_string(o, "public_key", public_key);
        if (r >= 0)
                r = add_names(o, &names);
        return r >= 0 ? json_add_string(o, "proof", proof) : r;
}

static int make_body(const JoinRequest *q, EVP_PKEY *key, JoinResult *ret, json_object **ret_body)
{
        const char *separator = strchr(q->token, JOIN_TOKEN_SEPARATOR);
        _cleanup_json_ json_object *o = json_object_new_object();
        _cleanup_free_ char *token = NULL;
        int r;

        if (key && !separator)
                return fail(
                        ret, "NoCertificate",
                        "The backend signs no certificates. Give this host one: SSI_TLS_CERT and SSI_TLS_KEY in " SSI_SERVERD_CONF
                        ".");
        token = memdup_string(q->token, separator ? (size_t) (separator - q->token) : strlen(q->token));
        r = o && token ? json_add_string(o, "token", token) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(o, "host", q->host);
        if (r >= 0)
                r = json_add_string(o, "hostname", q->hostname);
        if (r >= 0)
                r = json_add_int64(o, "schema", q->schema);
        if (r >= 0)
                r = json_add_bool(o, "own_database", json_get_string(q->own_settings, "SSI_DATABASE_URL"));
        if (r >= 0 && key)
                r = add_certificate_request(o, separator + 1, key);
        if (r < 0)
                return fail_errno(ret, "Cannot make the request", r);
        *ret_body = TAKE_PTR(o);
        return 0;
}

static int say_refused(const JoinRequest *q, long status, json_object *answer, JoinResult *ret)
{
        const char *detail = json_get_string(answer, "detail");

        if (status == 404)
                return fail(ret, "JoinRefused", "The backend at %s cannot be joined: its version is older.",
                            q->address);
        return fail(ret, "JoinRefused", "%s refused (%ld): %s", q->address, status, detail ?: "no reason given");
}

static int ask(const JoinRequest *q, json_object *body, JoinResult *ret, json_object **ret_answer)
{
        static const char *const errors[] = {
                [FIRST_HOST_UNREACHABLE] = "Unreachable",
                [FIRST_HOST_OTHER_KEY] = "WrongKey",
                [FIRST_HOST_NO_BACKEND] = "JoinRefused",
        };
        const FirstHost h = { .address = q->address, .pin = q->pin };
        _cleanup_json_ json_object *o = NULL;
        _cleanup_free_ char *message = NULL;
        long status;
        int r;

        r = first_host_post(&h, "/api/v1/instances/join", body, &status, &o, &message);
        if (r != 0)
                return fail(ret, errors[r], "%s", strempty(message));
        if (status != 200)
                return say_refused(q, status, o, ret);
        *ret_answer = TAKE_PTR(o);
        return 0;
}

/* ---- The answer ---- */

static int check_settings(const JoinRequest *q, json_object *settings, JoinResult *ret)
{
        _cleanup_free_ char *names = NULL;
        size_t n = 0;
        FILE *f;

        f = open_memstream(&names, &n);
        if (!f)
                return fail_errno(ret, "Cannot compare the settings", -ENOMEM);
        json_object_object_foreach(q->own_settings, name, value)
        {
                const char *own = json_object_get_string(value), *theirs = json_get_string(settings, name);

                /* Another way to the same database, which will be tried. */
                if (theirs && !streq(name, "SSI_DATABASE_URL") && !config_is_same_value(name, own, theirs))
                        fprintf(f, "%s%s", ftell(f) > 0 ? ", " : "", name);
        }
        if (fclose(f) != 0)
                return fail_errno(ret, "Cannot compare the settings", -ENOMEM);
        if (!isempty(names))
                return fail(ret, "SettingsDiffer",
                            "These settings differ from those of the backend: %s. Remove them from " SSI_SERVERD_CONF
                            " or make them equal, restart ssi-serverd, and join with a new token.",
                            names);
        json_object_object_foreach(settings, key, text)
        {
                const char *path = json_object_get_string(text);

                if (config_is_file(key) && !isempty(path) && access(path, R_OK) < 0)
                        return fail(
                                ret, "MissingFile",
                                "Copy %s (%s) from the first host, readable for ssi-server, and join with a new token.",
                                path, key);
        }
        return 0;
}

static int check_certificate(json_object *answer, EVP_PKEY *key, JoinResult *ret, X509 **ret_cert, X509 **ret_ca)
{
        const char *cert_text = json_get_string(answer, "certificate"), *ca_text = json_get_string(answer, "authority");
        _cleanup_(x509_freep) X509 *cert = NULL, *ca = NULL;

        if (!cert_text || !ca_text || pem_text_to_cert(cert_text, &cert) < 0 || pem_text_to_cert(ca_text, &ca) < 0 ||
            X509_check_private_key(cert, key) != 1 || X509_verify(cert, X509_get0_pubkey(ca)) != 1)
                return fail(ret, "JoinFailed", "The backend's answer has no usable certificate.");
        *ret_cert = TAKE_PTR(cert);
        *ret_ca = TAKE_PTR(ca);
        return 0;
}

/* Enters this host in the database, if it reaches it and it is the first host's. */
static int enter(const JoinRequest *q, const char *url, JoinResult *ret)
{
        static const char *const keywords[] = { "dbname", "connect_timeout", "application_name", NULL };
        const char *const values[] = { url, DATABASE_SECONDS, "ssi-serverd-join", NULL };
        _cleanup_(PQfinishp) PGconn *conn = PQconnectdbParams(keywords, values, 1);
        const char *const params[] = { q->host, q->hostname };
        _cleanup_(PQclearp) PGresult *res = NULL;
        _cleanup_free_ char *reason = NULL;

        if (PQstatus(conn) == CONNECTION_OK)
                res = PQexecParams(conn, SQL_join_enter, ELEMENTSOF(params), NULL, params, NULL, NULL, 0);
        if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1)
                return 0;
        if (PQresultStatus(res) == PGRES_TUPLES_OK)
                return fail(ret, "OtherDatabase",
                            "SSI_DATABASE_URL in " SSI_SERVERD_CONF " names another database than the backend's.");
        reason = utf8_sanitize(PQerrorMessage(conn), strlen(PQerrorMessage(conn)), 300, NULL);
        return fail(ret, "DatabaseUnreachable",
                    "This host does not reach the backend's database: %s Let it in (pg_hba.conf, firewall, files that "
                    "SSI_DATABASE_URL names), and join with a new token.",
                    strempty(reason));
}

static int take_answer(const JoinRequest *q, json_object *answer, EVP_PKEY *key, JoinResult *ret)
{
        json_object *settings = json_get_object(answer, "settings");
        const char *url = json_get_string(q->own_settings, "SSI_DATABASE_URL");
        _cleanup_(x509_freep) X509 *cert = NULL, *ca = NULL;
        JoinFiles files = { .address = q->address, .settings = settings, .own_settings = q->own_settings, .key = key };
        int r;

        if (!settings)
                return fail(ret, "JoinFailed", "The backend's answer has no settings.");
        r = check_settings(q, settings, ret);
        if (r >= 0 && key)
                r = check_certificate(answer, key, ret, &cert, &ca);
        if (r >= 0)
                r = enter(q, url ?: strempty(json_get_string(settings, "SSI_DATABASE_URL")), ret);
        if (r < 0)
                return r;
        files.cert = cert;
        files.ca = ca;
        files.push_key = q->own_push_key ? NULL : json_get_string(answer, "push_key");
        r = join_files_write(q->dir, &files);
        if (r < 0)
                return fail(ret, "JoinFailed", "Cannot write to %s: %s", q->dir, strerror(-r));
        ret->credentials = json_object_get(json_get_array(answer, "credentials"));
        return 0;
}

void join_perform(const JoinRequest *q, JoinResult *ret)
{
        _cleanup_json_ json_object *body = NULL, *answer = NULL;
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        int r = 0;

        *ret = (JoinResult){};
        if (!q->own_certificate)
                r = tls_key_new(&key);
        if (r < 0) {
                (void) fail_errno(ret, "Cannot make a key", r);
                return;
        }
        if (make_body(q, key, ret, &body) >= 0 && ask(q, body, ret, &answer) >= 0)
                (void) take_answer(q, answer, key, ret);
}
