/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/internal.h"
#include "admin/user.sql.h"
#include "auth/password.h"
#include "model/account.h"
#include "model/rules.h"
#include "notify/notifier.h"

static int append_user(sd_bus_message *reply, PGresult *res, int row)
{
        static const char types[] = "sstubbtt";
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        for (int i = 0; i < PQnfields(res) && r >= 0; i++) {
                const char type[] = { types[i], '\0' }, *value = PQgetvalue(res, row, i);

                r = type[0] == 's' ? sd_bus_message_append(reply, "{sv}", PQfname(res, i), type, value) :
                    type[0] == 't' ? sd_bus_message_append(reply, "{sv}", PQfname(res, i), type,
                                                           (uint64_t) strtoull(value, NULL, 10)) :
                    type[0] == 'b' ? sd_bus_message_append(reply, "{sv}", PQfname(res, i), type,
                                                           (int) (*value == 't')) :
                                     sd_bus_message_append(reply, "{sv}", PQfname(res, i), type,
                                                           (unsigned) strtoul(value, NULL, 10));
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void list_done(AdminCall *c, PGresult *res, int error)
{
        admin_reply_list(c, res, error, "a{sv}", append_user, "users");
}

typedef struct Filter {
        const char *search, *state;
} Filter;

static int read_option(sd_bus_message *m, const char *name, void *userdata)
{
        Filter *f = userdata;

        return streq(name, "search") ? sd_bus_message_read(m, "v", "s", &f->search) :
               streq(name, "state")  ? sd_bus_message_read(m, "v", "s", &f->state) :
                                       -ENOENT;
}

int admin_method_list_users(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        Filter f = {};
        AdminCall *c;
        int r;

        r = admin_method_begin(a, m, error, "");
        if (r != 0)
                return r;
        r = bus_read_options(m, read_option, &f, SERVER_ERROR_PREFIX "InvalidOption", error);
        if (r < 0)
                return r;
        if (f.state && !streq(f.state, "administrator") && !streq(f.state, "locked") && !streq(f.state, "unconfirmed"))
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InvalidOption",
                                        "The state must be \"administrator\", \"locked\" or \"unconfirmed\".");
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        admin_query(c, SQL(admin_list_users, .search = isempty(f.search) ? NULL : f.search, .state = f.state),
                    list_done);
        return 1;
}

/* text[0]: the address. */
static void add_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0 || PQgetisnull(res, 0, 0))
                admin_reply_error(c, "AlreadyExists", "An account with this address already exists.");
        else {
                admin_reply(c, "s", PQgetvalue(res, 0, 0));
                admin_sample(c->admin);
        }
}

static void reply_hash_failure(AdminCall *c, int r)
{
        admin_reply_error(c, "Failed", "Cannot hash the password: %s", strerror(-r));
        admin_call_free(c);
}

static void add_hashed(int r, const char *hash, void *userdata)
{
        AdminCall *c = userdata;

        if (r < 0) {
                reply_hash_failure(c, r);
                return;
        }
        admin_act_begin(c, add_done);
        admin_act_begun(c, account_add(c->admin->backend, c->text[0], hash, false, NULL, c->actor, admin_act_done, c));
}

static void password_done(AdminCall *c, PGresult *res, int error)
{
        if (error >= 0)
                notifier_kick(c->admin->backend->notifier);
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_no_user(c);
        else
                admin_reply(c, "");
}

static void password_hashed(int r, const char *hash, void *userdata)
{
        AdminCall *c = userdata;

        if (r < 0) {
                reply_hash_failure(c, r);
                return;
        }

        const AccountPassword password = { .hash = hash,
                                           .withdraw = true,
                                           .tell = notifier_has_account_mail(c->admin->backend->notifier) };

        admin_act_begin(c, password_done);
        admin_act_begun(c, account_set_password(c->admin->backend, c->text[0], &password, c->actor, admin_act_done, c));
}

/* AddUser and SetPassword take the same arguments. */
static int start_hashing(sd_bus_message *m, Admin *a, bool must_be_address, password_callback_t hashed,
                         sd_bus_error *error)
{
        _cleanup_(admin_call_freep) AdminCall *c = NULL;
        const PasswordAsker asker = { .class = PASSWORD_ACCOUNT };
        const char *user, *password, *fault;
        int r;

        r = admin_call_begin(a, m, &c, error, "ss", &user, &password);
        if (r != 0)
                return r;
        if (must_be_address && !email_is_acceptable(user))
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InvalidEmail",
                                        "That is not a valid e-mail address of ASCII characters.");
        fault = password_fault(password, user);
        if (fault)
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InvalidPassword", fault);
        r = free_and_strdup(&c->text[0], user);
        if (r < 0)
                return r;
        r = password_hash(a->backend->passwords, &asker, password, hashed, c);
        if (r == -EBUSY)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many passwords are being hashed; try again later.");
        if (r < 0)
                return r;
        TAKE_PTR(c);
        return 1;
}

int admin_method_add_user(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_hashing(m, userdata, true, add_hashed, error);
}

int admin_method_set_password(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_hashing(m, userdata, false, password_hashed, error);
}

static void remove_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_no_user(c);
        else if (*PQgetvalue(res, 0, ACCOUNT_REMOVED_DONE) != 't')
                admin_reply_error(c, "LastOwner", ACCOUNT_IS_LAST_OWNER);
        else {
                admin_reply(c, "");
                admin_sample(c->admin);
        }
}

int admin_method_remove_user(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_act(userdata, m, error, account_remove, remove_done);
}
