/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/field.h"
#include "api/mail.h"
#include "api/page.h"
#include "api/invitation.h"
#include "model/sign-up.h"
#include "notify/notifier.h"
#include "api/invitations.sql.h"

/* Invitations of an account, while accounts may invite (model/sign-up.h), and of administrators, who always may, and withdraw everybody's.
 * The token is shown once. */

static void list_invitations(ApiCall *c)
{
        ApiPage page;

        if (!api_page_parse(c, "n", &page))
                return;

        api_query(c, SQL(list_invitations, .user = c->user, .limit = page.limit, .after = page.keys[0]), api_page_done);
}

static bool for_administrator(ApiCall *c)
{
        return c->route->access == API_ADMIN || c->route->access == API_ADMIN_RECENT;
}

bool api_parse_invitation(ApiCall *c, json_object *body, InvitationNew *ret)
{
        int64_t lifetime = INVITATION_LIFETIME;
        json_object *o = NULL;

        *ret = (InvitationNew){ .account = for_administrator(c) ? NULL : c->user, .mail = api_has_mail(c) };
        if (json_object_object_get_ex(body, "email", &o) && o) {
                ret->email = api_body_email(c, body, true);
                if (!ret->email)
                        return false;
        }
        if (json_get_int64(body, "expires_in", &lifetime) == -EINVAL || lifetime < 1 ||
            lifetime > INVITATION_LIFETIME_MAX) {
                api_invalid(c, "expires_in must be a number of seconds from 1 to %d.", INVITATION_LIFETIME_MAX);
                return false;
        }
        ret->lifetime = (unsigned) lifetime;
        return true;
}

static int describe(ApiCall *c, PGresult *res, json_object *o)
{
        int r;

        r = json_add_string(o, "id", PQgetvalue(res, 0, INVITATION_ID));
        if (r >= 0)
                r = json_add_string(o, "token", c->text[0]);
        if (r >= 0)
                r = json_add_string(o, "expires_at", PQgetvalue(res, 0, INVITATION_EXPIRES));
        if (r >= 0)
                r = json_add_bool(o, "mailed", *PQgetvalue(res, 0, INVITATION_MAILED) == 't');
        return r;
}

static void made(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *o = NULL;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        if (PQntuples(res) == 0) {
                http_respond_problem(
                        c->req, 409, "too-many-invitations",
                        "An account can have at most " STRINGIFY(
                                INVITATIONS_MAX) " invitations that are not used yet; withdraw one first.");
                return;
        }
        notifier_kick(c->backend->notifier);
        o = json_object_new_object();
        if (!o || describe(c, res, o) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 201, TAKE_PTR(o));
}

/* text[0]: the token. */
void api_make_invitation(ApiCall *c, const InvitationNew *new)
{
        if (invitation_token_make(&c->text[0]) < 0) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        api_act_begin(c, made);
        api_act_begun(c, invitation_add(c->backend, new, c->text[0], api_actor(c), api_act_done, c));
}

static void make(ApiCall *c)
{
        InvitationNew new;

        if (api_parse_invitation(c, http_request_json(c->req), &new))
                api_make_invitation(c, &new);
}

static void asked(ApiCall *c, PGresult *res, int error)
{
        SignUp in_force;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        in_force = sign_up_in_force(c->backend, res);
        if (in_force != SIGN_UP_INVITE && in_force != SIGN_UP_OPEN) {
                http_respond_problem(c->req, 403, "sign-up-closed",
                                     "Only administrators of this server invite: ssictl server invite.");
                return;
        }
        make(c);
}

static void make_invitation(ApiCall *c)
{
        if (!http_request_json(c->req))
                return;
        if (for_administrator(c)) {
                make(c);
                return;
        }
        api_act_begin(c, asked);
        api_act_begun(c, sign_up_ask(c->backend, NULL, api_act_done, c));
}

static void delete_invitation(ApiCall *c)
{
        api_act_begin(c, api_done_204);
        api_act_begun(c, invitation_remove(c->backend, for_administrator(c) ? NULL : c->user, NULL, NULL,
                                           http_request_param(c->req, "invitation_id"), api_actor(c), api_act_done, c));
}

static void list_all(ApiCall *c)
{
        ApiPage page;

        if (api_page_parse(c, "n", &page))
                api_query(c, SQL(list_all_invitations, .limit = page.limit, .after = page.keys[0]), api_page_done);
}

const ApiRoute api_invitation_routes[] = {
        { "GET", "/api/v1/invitations", API_ACCOUNT, list_invitations },
        { "POST", "/api/v1/invitations", API_RECENT, make_invitation },
        { "DELETE", "/api/v1/invitations/:invitation_id", API_ACCOUNT, delete_invitation },
        { "GET", "/api/v1/admin/invitations", API_ADMIN, list_all },
        { "POST", "/api/v1/admin/invitations", API_ADMIN_RECENT, make_invitation },
        { "DELETE", "/api/v1/admin/invitations/:invitation_id", API_ADMIN_RECENT, delete_invitation },
        {},
};
