/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/internal.h"
#include "admin/server.sql.h"
#include "db/array.h"
#include "model/host.h"
#include "model/rules.h"

static void reply_no_server(AdminCall *c)
{
        admin_reply_error(c, "NoSuchServer",
                          "The server does not exist, or its name is not unique; use the id shown by "
                          "\"ssictl server list\".");
}

static uint64_t number(PGresult *res, int row, int column)
{
        return strtoull(PQgetvalue(res, row, column), NULL, 10);
}

/* The labels are one text, separated by a character that labels cannot contain. */
static int append_labels(sd_bus_message *reply, char *text)
{
        char *save = NULL;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        for (char *s = strtok_r(text, "\x1f", &save); s && r >= 0; s = strtok_r(NULL, "\x1f", &save))
                r = sd_bus_message_append(reply, "s", s);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_server(sd_bus_message *reply, PGresult *res, int row)
{
        _cleanup_free_ char *labels = strdup(PQgetvalue(res, row, 6));
        int r;

        if (!labels)
                return -ENOMEM;
        r = sd_bus_message_open_container(reply, 'r', "sssstuassb");
        if (r >= 0)
                r = sd_bus_message_append(reply, "sssstu", PQgetvalue(res, row, 0), PQgetvalue(res, row, 1),
                                          PQgetvalue(res, row, 2), PQgetvalue(res, row, 3), number(res, row, 4),
                                          (unsigned) number(res, row, 5));
        if (r >= 0)
                r = append_labels(reply, labels);
        if (r >= 0)
                r = sd_bus_message_append(reply, "sb", PQgetvalue(res, row, 7), *PQgetvalue(res, row, 8) == 't');
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void list_done(AdminCall *c, PGresult *res, int error)
{
        admin_reply_list(c, res, error, "(sssstuassb)", append_server, "servers");
}

int admin_method_list_servers(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_list(userdata, m, error, SQL(admin_list_servers), list_done);
}

/* text[0]: the token. */
static void add_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_no_user(c);
        else if (PQgetisnull(res, 0, HOST_CLAIM_SERVER))
                admin_reply_error(c, "TooMany",
                                  "The account has as many servers as its quota allows: remove one, or raise "
                                  "the quota (ssictl server quota USER servers=NUMBER).");
        else {
                admin_reply(c, "sst", PQgetvalue(res, 0, HOST_CLAIM_SERVER), c->text[0],
                            number(res, 0, HOST_CLAIM_EXPIRES_USEC));
                admin_sample(c->admin);
        }
}

typedef struct AddOptions {
        DbArray labels;
        unsigned n_labels;
        bool bad;
} AddOptions;

static int read_add_option(sd_bus_message *m, const char *name, void *userdata)
{
        AddOptions *o = userdata;
        const char *label;
        int r;

        if (!streq(name, "labels"))
                return -ENOENT;
        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &label)) > 0) {
                o->bad |= ++o->n_labels > LABELS_MAX || !label_is_valid(label);
                if (!o->bad)
                        db_array_text(&o->labels, label);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int add_server(Admin *a, sd_bus_message *m, const char *name, const char *user, const char *labels)
{
        _cleanup_(admin_call_freep) AdminCall *c = NULL;
        int r;

        r = admin_call_new(a, m, &c);
        if (r >= 0)
                r = host_claim_token_make(&c->text[0]);
        if (r < 0)
                return r;
        admin_act_begin(c, add_done);
        r = host_add(a->backend, &(HostRef){ .owner = user }, name, labels, c->text[0], c->actor, admin_act_done, c);
        admin_act_begun(TAKE_PTR(c), r);
        return 1;
}

int admin_method_add_server(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *user, *labels;
        Admin *a = userdata;
        AddOptions o = {};
        int r;

        r = admin_method_begin(a, m, error, "ss", &name, &user);
        if (r != 0)
                return r;
        r = bus_read_options(m, read_add_option, &o, SERVER_ERROR_PREFIX "InvalidOption", error);
        if (r < 0)
                ;
        else if (!server_name_is_valid(name))
                r = sd_bus_error_setf(error, SERVER_ERROR_PREFIX "InvalidName",
                                      "A server's name must be 1 to %d bytes without control or invisible characters.",
                                      SERVER_NAME_MAX);
        else if (o.bad)
                r = sd_bus_error_setf(error, SERVER_ERROR_PREFIX "InvalidOption",
                                      "A label must be 1 to %d bytes without control or invisible characters; "
                                      "a server can have at most %d.",
                                      LABEL_MAX, LABELS_MAX);
        else {
                labels = db_array_done(&o.labels);
                r = labels ? add_server(a, m, name, user, labels) : -ENOMEM;
        }
        db_array_free(&o.labels);
        return r;
}

static void token_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                reply_no_server(c);
        else
                admin_reply(c, "st", c->text[0], number(res, 0, HOST_CLAIM_EXPIRES_USEC));
}

int admin_method_create_claim_token(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(admin_call_freep) AdminCall *c = NULL;
        Admin *a = userdata;
        HostRef host = {};
        int r;

        r = admin_call_begin(a, m, &c, error, "s", &host.server);
        if (r != 0)
                return r;
        r = host_claim_token_make(&c->text[0]);
        if (r < 0)
                return r;
        admin_act_begin(c, token_done);
        r = host_new_claim_token(a->backend, &host, c->text[0], c->actor, admin_act_done, c);
        admin_act_begun(TAKE_PTR(c), r);
        return 1;
}

static void remove_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                reply_no_server(c);
        else {
                admin_reply(c, "");
                admin_sample(c->admin);
        }
}

int admin_method_remove_server(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        HostRef host = {};
        AdminCall *c;
        int r;

        r = admin_call_begin(a, m, &c, error, "s", &host.server);
        if (r != 0)
                return r;
        admin_act_begin(c, remove_done);
        admin_act_begun(c, host_remove(a->backend, &host, c->actor, admin_act_done, c));
        return 1;
}

/* ---- Two hosts with one identity ---- */

static int append_duplicate(sd_bus_message *reply, PGresult *res, int row)
{
        return sd_bus_message_append(reply, "(ssstss)", PQgetvalue(res, row, 0), PQgetvalue(res, row, 1),
                                     PQgetvalue(res, row, 2), number(res, row, 3), PQgetvalue(res, row, 4),
                                     PQgetvalue(res, row, 5));
}

static void duplicates_done(AdminCall *c, PGresult *res, int error)
{
        admin_reply_list(c, res, error, "(ssstss)", append_duplicate, "duplicates");
}

int admin_method_list_duplicates(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_list(userdata, m, error, SQL(admin_list_duplicates), duplicates_done);
}

static void keep_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                reply_no_server(c);
        else if (*PQgetvalue(res, 0, HOST_KEEP_DONE) != 't')
                admin_reply_error(c, "NoDuplicate", "No two hosts use this server's identity.");
        else
                admin_reply(c, "");
}

int admin_method_keep_host(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        HostRef host = {};
        const char *keep;
        bool refused;
        AdminCall *c;
        int r;

        r = admin_method_begin(a, m, error, "ss", &host.server, &keep);
        if (r != 0)
                return r;
        r = admin_read_no_options(m, error);
        if (r < 0)
                return r;
        if (host_keep_parse(keep, &refused) < 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, HOST_KEEP_FAULT);
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        admin_act_begin(c, keep_done);
        admin_act_begun(c, host_keep(a->backend, &host, refused, c->actor, admin_act_done, c));
        return 1;
}
