/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "admin/internal.h"
#include "db/local.h"
#include "model/instance.h"
#include "shared/tls/pem-text.h"

#define PORT 8443

static uint64_t number(PGresult *res, int row, int column)
{
        return strtoull(PQgetvalue(res, row, column), NULL, 10);
}

/* ---- Instances ---- */

static int append_instance(sd_bus_message *reply, PGresult *res, int row)
{
        return sd_bus_message_append(reply, "(ssstttsb)", PQgetvalue(res, row, INSTANCE_ID),
                                     PQgetvalue(res, row, INSTANCE_HOSTNAME), PQgetvalue(res, row, INSTANCE_VERSION),
                                     number(res, row, INSTANCE_STARTED_USEC), number(res, row, INSTANCE_SEEN_USEC),
                                     number(res, row, INSTANCE_JOINED_USEC), PQgetvalue(res, row, INSTANCE_HOST),
                                     (int) (*PQgetvalue(res, row, INSTANCE_ALIVE) == 't'));
}

static void instances_done(AdminCall *c, PGresult *res, int error)
{
        admin_reply_list(c, res, error, "(ssstttsb)", append_instance, "instances");
}

int admin_method_list_instances(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        AdminCall *c;
        int r;

        r = admin_call_begin(a, m, &c, error, "");
        if (r != 0)
                return r;
        admin_act_begin(c, instances_done);
        admin_act_begun(c, instance_list(a->backend, admin_act_done, c));
        return 1;
}

static void host_removed(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_error(
                        c, "NoSuchHost",
                        "No such host has joined, or several have this name; \"ssictl server instances\" lists "
                        "them with their IDs.");
        else if (*PQgetvalue(res, 0, 0) != 't')
                admin_reply_error(c, "StillServing",
                                  "That host is alive: run \"ssictl server leave\" there, or stop it first.");
        else
                admin_reply(c, "");
}

int admin_method_remove_host(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, instance_remove_host, host_removed);
}

/* ---- Tokens ---- */

/* The key that clients of this host see: what a host that joins pins. */
static int read_pin(const Admin *a, char ret[static PEM_PIN_MAX])
{
        _cleanup_free_ char *path = realpath(a->cert_file, NULL);
        _cleanup_(x509_freep) X509 *cert = NULL;
        int r;

        if (!path)
                return -errno;
        r = pem_file_read(AT_FDCWD, path, &cert, NULL);
        return r < 0 ? r : pem_pin_of_cert(cert, ret);
}

/* text[0]: the token, text[1]: the pin. */
static void token_made(AdminCall *c, PGresult *res, int error)
{
        const Admin *a = c->admin;
        char address[HOSTNAME_MAX + 32];

        if (error < 0) {
                admin_reply_failure(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                admin_reply_error(c, "TooMany", "At most %d join tokens can be open: withdraw one first.",
                                  JOIN_TOKENS_MAX);
                return;
        }
        snprintf(address, sizeof(address), "https://%s:%d", a->backend->hostname, PORT);
        admin_reply(c, "sstssb", PQgetvalue(res, 0, 0), c->text[0], number(res, 0, 1), address, c->text[1],
                    (int) a->signs);
}

static int read_lifetime(sd_bus_message *m, const char *name, void *userdata)
{
        uint64_t *ret = userdata;

        return streq(name, "lifetime_usec") ? sd_bus_message_read(m, "v", "t", ret) : -ENOENT;
}

static int create_token(Admin *a, sd_bus_message *m, unsigned lifetime, const char *pin)
{
        _cleanup_(admin_call_freep) AdminCall *c = NULL;
        int r;

        r = admin_call_new(a, m, &c);
        if (r >= 0)
                r = join_token_make(&c->text[0]);
        if (r >= 0)
                r = free_and_strdup(&c->text[1], pin);
        if (r < 0)
                return r;
        admin_act_begin(c, token_made);
        r = join_token_add(a->backend, c->text[0], lifetime, c->actor, admin_act_done, c);
        admin_act_begun(TAKE_PTR(c), r);
        return 1;
}

int admin_method_create_join_token(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t lifetime = JOIN_TOKEN_LIFETIME * USEC_PER_SEC;
        char pin[PEM_PIN_MAX];
        Admin *a = userdata;
        int r;

        r = admin_method_begin(a, m, error, "");
        if (r != 0)
                return r;
        r = bus_read_options(m, read_lifetime, &lifetime, SERVER_ERROR_PREFIX "InvalidOption", error);
        if (r < 0)
                return r;
        if (lifetime < USEC_PER_SEC || lifetime > JOIN_TOKEN_LIFETIME_MAX * USEC_PER_SEC)
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InvalidOption",
                                        "A join token can be valid for a day at most.");
        if (startswith(a->backend->config->database_url, "host=/run/ssi-postgres "))
                return sd_bus_error_set(
                        error, SERVER_ERROR_PREFIX "LocalDatabase",
                        "The backend uses its private database, which no other host can reach. First move it to a "
                        "PostgreSQL that both hosts reach, and set SSI_DATABASE_URL; administration.md, \"A second host\", "
                        "shows how.");
        r = read_pin(a, pin);
        if (r < 0)
                return sd_bus_error_setf(error, SERVER_ERROR_PREFIX "Failed", "Cannot read the certificate in %s: %s",
                                         strempty(a->cert_file), strerror(-r));
        return create_token(a, m, (unsigned) (lifetime / USEC_PER_SEC), pin);
}

static int append_token(sd_bus_message *reply, PGresult *res, int row)
{
        return sd_bus_message_append(reply, "(stt)", PQgetvalue(res, row, 0), number(res, row, 1), number(res, row, 2));
}

static void tokens_done(AdminCall *c, PGresult *res, int error)
{
        admin_reply_list(c, res, error, "(stt)", append_token, "join tokens");
}

int admin_method_list_join_tokens(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        AdminCall *c;
        int r;

        r = admin_call_begin(a, m, &c, error, "");
        if (r != 0)
                return r;
        admin_act_begin(c, tokens_done);
        admin_act_begun(c, join_token_list(a->backend, admin_act_done, c));
        return 1;
}

static void token_removed(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_error(
                        c, "NoSuchToken",
                        "There is no such join token, or it is used; \"ssictl server join-tokens\" lists all.");
        else
                admin_reply(c, "");
}

int admin_method_remove_join_token(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, join_token_remove, token_removed);
}
