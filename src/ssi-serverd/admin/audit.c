/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/audit.sql.h"
#include "admin/internal.h"
#include "model/audit.h"
#include "shared/log.h"
#include "shared/status-line.h"

/* ListAudit: pages of the audit log, newest first. */

#define PAGE_MAX      500U
#define AUDIT_NUMBERS 4 /* columns of admin_list_audit */

typedef struct Filter {
        char since[RFC3339_MAX], until[RFC3339_MAX], before[24];
        const char *account, *event, *outcome;
        unsigned limit;
} Filter;

static int read_time(sd_bus_message *m, char ret[static RFC3339_MAX])
{
        uint64_t usec;
        int r;

        r = sd_bus_message_read(m, "v", "t", &usec);
        if (r < 0)
                return r;
        format_rfc3339(usec, ret);
        return 0;
}

static int read_option(sd_bus_message *m, const char *name, void *userdata)
{
        Filter *f = userdata;
        uint64_t before;
        int r;

        if (streq(name, "since"))
                return read_time(m, f->since);
        if (streq(name, "until"))
                return read_time(m, f->until);
        if (streq(name, "account"))
                return sd_bus_message_read(m, "v", "s", &f->account);
        if (streq(name, "event"))
                return sd_bus_message_read(m, "v", "s", &f->event);
        if (streq(name, "outcome"))
                return sd_bus_message_read(m, "v", "s", &f->outcome);
        if (streq(name, "limit"))
                return sd_bus_message_read(m, "v", "u", &f->limit);
        if (!streq(name, "before"))
                return -ENOENT;
        r = sd_bus_message_read(m, "v", "t", &before);
        if (r >= 0)
                snprintf(f->before, sizeof(f->before), "%llu", (unsigned long long) MIN(before, (uint64_t) INT64_MAX));
        return r;
}

/* Columns without a value are left out. */
static int append_entry(sd_bus_message *reply, PGresult *res, int row)
{
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        for (int i = 0; i < PQnfields(res) && r >= 0; i++) {
                const char *value = PQgetvalue(res, row, i);

                if (PQgetisnull(res, row, i))
                        continue;
                r = i < AUDIT_NUMBERS ?
                            sd_bus_message_append(reply, "{sv}", PQfname(res, i), "t", strtoull(value, NULL, 10)) :
                            sd_bus_message_append(reply, "{sv}", PQfname(res, i), "s", value);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* text[0]: the size of a page. */
static uint64_t next_page(AdminCall *c, PGresult *res)
{
        int n = PQntuples(res);

        return n > 0 && (unsigned) n == strtoul(c->text[0], NULL, 10) ? strtoull(PQgetvalue(res, n - 1, 0), NULL, 10) :
                                                                        0;
}

static void listed(AdminCall *c, PGresult *res, int error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (error < 0) {
                admin_reply_failure(c, res, error);
                return;
        }
        r = sd_bus_message_new_method_return(c->m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (int i = 0; i < PQntuples(res) && r >= 0; i++)
                r = append_entry(reply, res, i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "t", next_page(c, res));
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                admin_reply_error(c, "Failed", "Cannot list the audit log: %s", strerror(-r));
}

static const char *set(const char *s)
{
        return isempty(s) ? NULL : s;
}

int admin_method_list_audit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Filter f = { .limit = PAGE_MAX };
        Admin *a = userdata;
        AdminCall *c;
        int r;

        r = admin_method_begin(a, m, error, "");
        if (r != 0)
                return r;
        r = bus_read_options(m, read_option, &f, SERVER_ERROR_PREFIX "InvalidOption", error);
        if (r < 0)
                return r;
        if (f.limit < 1 || f.limit > PAGE_MAX)
                return sd_bus_error_setf(error, SERVER_ERROR_PREFIX "InvalidOption",
                                         "The limit must be a number from 1 to %u.", PAGE_MAX);
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        if (asprintf(&c->text[0], "%u", f.limit) < 0) {
                c->text[0] = NULL;
                admin_call_free(c);
                return -ENOMEM;
        }
        admin_query(c,
                    SQL(admin_list_audit, .since = set(f.since), .until = set(f.until), .before = set(f.before),
                        .account = set(f.account), .event = set(f.event), .outcome = set(f.outcome),
                        .limit = c->text[0]),
                    listed);
        return 1;
}

/* ---- Acts of administration that concern no account ---- */

static void on_recorded(PGresult *res, int error, void *userdata)
{
        if (error == 0)
                audit_journal(res);
        else if (error != -ECANCELED)
                log_warning("An act of administration is missing in the audit log: %s", db_result_message(res));
}

void admin_audit(Admin *a, const char *event, const char *outcome, const char *actor)
{
        (void) backend_query(a->backend, SQL(audit_administration, .event = event, .outcome = outcome, .actor = actor),
                             on_recorded, NULL);
}

void admin_audit_before(AdminCall *c_taken, const char *event, void (*done)(AdminCall *c, PGresult *res, int error))
{
        admin_query(c_taken, SQL(audit_administration, .event = event, .outcome = "done", .actor = c_taken->actor),
                    done);
}

void admin_audit_refused(Admin *a, sd_bus_message *m, const sd_bus_error *error)
{
        char actor[32];
        uid_t uid;

        if ((!sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) &&
             !sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED)) ||
            polkit_sender_uid(a->polkit, m, &uid) < 0)
                return;
        snprintf(actor, sizeof(actor), "uid %u", (unsigned) uid);
        audit_refused(a->backend, &(AuditRefusal){ .event = "administration.refused",
                                                   .outcome = AUDIT_REFUSED,
                                                   .method = AUDIT_BUS,
                                                   .network = AUDIT_BUS,
                                                   .actor = actor });
}
