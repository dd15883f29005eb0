/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/internal.h"
#include "model/quota.h"

static uint64_t number(PGresult *res, int row, int column, uint64_t missing)
{
        return PQgetisnull(res, row, column) ? missing : strtoull(PQgetvalue(res, row, column), NULL, 10);
}

static int append_quota(sd_bus_message *reply, PGresult *res, int row)
{
        return sd_bus_message_append(
                reply, "(stttbt)", PQgetvalue(res, row, QUOTA_ROW_NAME), number(res, row, QUOTA_ROW_USED, QUOTA_NONE),
                number(res, row, QUOTA_ROW_LIMIT, QUOTA_NONE), number(res, row, QUOTA_ROW_BURST, 0),
                (int) (*PQgetvalue(res, row, QUOTA_ROW_OWN) == 't'), number(res, row, QUOTA_ROW_REACHED_USEC, 0));
}

static void list_done(AdminCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) == 0)
                admin_reply_no_user(c);
        else
                admin_reply_list(c, res, error, "(stttbt)", append_quota, "quotas");
}

int admin_method_list_quotas(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        const char *user;
        AdminCall *c;
        int r;

        r = admin_call_begin(a, m, &c, error, "s", &user);
        if (r != 0)
                return r;
        admin_act_begin(c, list_done);
        admin_act_begun(c, quota_list(a->backend, user, admin_act_done, c));
        return 1;
}

static void set_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_no_user(c);
        else
                admin_reply(c, "");
}

int admin_method_set_quota(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *user, *name, *value;
        bool reset;
        Quota quota = {};
        QuotaKind kind;
        Admin *a = userdata;
        AdminCall *c;
        int r;

        r = admin_method_begin(a, m, error, "sss", &user, &name, &value);
        if (r != 0)
                return r;
        r = admin_read_no_options(m, error);
        if (r < 0)
                return r;
        if (quota_of_account(name, &kind) < 0)
                return sd_bus_error_setf(error, SERVER_ERROR_PREFIX "InvalidQuota",
                                         "There is no quota \"%s\"; \"ssictl server quota USER\" lists all quotas.",
                                         name);
        reset = streq(value, "default");
        if (!reset && quota_parse(kind, value, &quota) < 0)
                return sd_bus_error_setf(error, SERVER_ERROR_PREFIX "InvalidQuota",
                                         "The quota \"%s\" must be %s, or \"default\".", name, quota_format(kind));
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        admin_act_begin(c, set_done);
        admin_act_begun(c, quota_set(a->backend, user, kind, reset ? NULL : &quota, c->actor, admin_act_done, c));
        return 1;
}
