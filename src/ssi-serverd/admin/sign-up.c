/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/internal.h"
#include "admin/sign-up.sql.h"
#include "model/invitation.h"
#include "model/rules.h"
#include "model/sign-up.h"
#include "notify/notifier.h"

static uint64_t number(PGresult *res, int row, int column)
{
        return strtoull(PQgetvalue(res, row, column), NULL, 10);
}

/* ---- Who may make an account ---- */

static void set_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else {
                admin_reply(c, "");
                admin_sample(c->admin);
        }
}

int admin_method_set_sign_up(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        const char *value;
        AdminCall *c;
        SignUp s;
        int r;

        r = admin_method_begin(a, m, error, "s", &value);
        if (r != 0)
                return r;
        r = admin_read_no_options(m, error);
        if (r < 0)
                return r;
        if (sign_up_from_string(value, &s) < 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "Sign-up can be \"closed\", \"invite\" or \"open\".");
        if (sign_up_is_configured(a->backend))
                return sd_bus_error_setf(
                        error, SERVER_ERROR_PREFIX "SetByConfiguration",
                        "The backend is configured with SSI_SIGN_UP=%s, which overrides this; change it "
                        "or remove it (serverd.conf), and restart the backend.",
                        sign_up_to_string((SignUp) a->backend->config->sign_up));
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        admin_act_begin(c, set_done);
        admin_act_begun(c, sign_up_set(a->backend, s, c->actor, admin_act_done, c));
        return 1;
}

/* ---- Invitations ---- */

static int read_lifetime(sd_bus_message *m, const char *name, void *userdata)
{
        uint64_t *ret = userdata;

        return streq(name, "lifetime_usec") ? sd_bus_message_read(m, "v", "t", ret) : -ENOENT;
}

/* text[0]: the token. */
static void created(AdminCall *c, PGresult *res, int error)
{
        if (error < 0) {
                admin_reply_failure(c, res, error);
                return;
        }
        notifier_kick(c->admin->backend->notifier);
        admin_reply(c, "sstb", PQgetvalue(res, 0, INVITATION_ID), c->text[0], number(res, 0, INVITATION_EXPIRES_USEC),
                    (int) (*PQgetvalue(res, 0, INVITATION_MAILED) == 't'));
}

static int create_invitation(Admin *a, sd_bus_message *m, const InvitationNew *new)
{
        _cleanup_(admin_call_freep) AdminCall *c = NULL;
        int r;

        r = admin_call_new(a, m, &c);
        if (r >= 0)
                r = invitation_token_make(&c->text[0]);
        if (r < 0)
                return r;
        admin_act_begin(c, created);
        r = invitation_add(a->backend, new, c->text[0], c->actor, admin_act_done, c);
        admin_act_begun(TAKE_PTR(c), r);
        return 1;
}

int admin_method_create_invitation(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t lifetime = INVITATION_LIFETIME * USEC_PER_SEC;
        Admin *a = userdata;
        const char *email;
        int r;

        r = admin_method_begin(a, m, error, "s", &email);
        if (r != 0)
                return r;
        r = bus_read_options(m, read_lifetime, &lifetime, SERVER_ERROR_PREFIX "InvalidOption", error);
        if (r < 0)
                return r;
        if (!isempty(email) && !email_is_acceptable(email))
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InvalidEmail",
                                        "That is not a valid e-mail address of ASCII characters.");
        if (lifetime < USEC_PER_SEC || lifetime > INVITATION_LIFETIME_MAX * USEC_PER_SEC)
                return sd_bus_error_setf(error, SERVER_ERROR_PREFIX "InvalidOption",
                                         "An invitation can be valid for %d days at most.",
                                         INVITATION_LIFETIME_MAX / 86400);

        const InvitationNew new = {
                .email = isempty(email) ? NULL : email,
                .lifetime = (unsigned) (lifetime / USEC_PER_SEC),
                .mail = notifier_has_account_mail(a->backend->notifier),
        };

        return create_invitation(a, m, &new);
}

static int append_invitation(sd_bus_message *reply, PGresult *res, int row)
{
        return sd_bus_message_append(reply, "(ssstt)", PQgetvalue(res, row, 0), PQgetvalue(res, row, 1),
                                     PQgetvalue(res, row, 2), number(res, row, 3), number(res, row, 4));
}

static void list_done(AdminCall *c, PGresult *res, int error)
{
        admin_reply_list(c, res, error, "(ssstt)", append_invitation, "invitations");
}

int admin_method_list_invitations(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return admin_method_list(userdata, m, error, SQL(admin_list_invitations), list_done);
}

static void remove_done(AdminCall *c, PGresult *res, int error)
{
        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (PQntuples(res) == 0)
                admin_reply_error(
                        c, "NoSuchInvitation",
                        "There is no such invitation, or it is used; \"ssictl server invitations\" lists all.");
        else
                admin_reply(c, "");
}

int admin_method_remove_invitation(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;
        const char *id;
        AdminCall *c;
        int r;

        r = admin_call_begin(a, m, &c, error, "s", &id);
        if (r != 0)
                return r;
        admin_act_begin(c, remove_done);
        admin_act_begun(c, invitation_remove(a->backend, NULL, NULL, NULL, id, c->actor, admin_act_done, c));
        return 1;
}
