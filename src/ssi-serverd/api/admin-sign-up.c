/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/field.h"
#include "model/sign-up.h"

/* Who may make an account, as administrators see and set it: docs/adr/0044. */

static void asked(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        const char *mode;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        mode = sign_up_to_string(sign_up_in_force(c->backend, res));
        if (!o || json_add_string(o, "sign_up", isempty(mode) ? NULL : mode) < 0 ||
            json_add_bool(o, "configured", sign_up_is_configured(c->backend)) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, 200, TAKE_PTR(o));
}

static void get_sign_up(ApiCall *c)
{
        api_act_begin(c, asked);
        api_act_begun(c, sign_up_ask(c->backend, NULL, api_act_done, c));
}

static void put_sign_up(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *value;
        SignUp s;

        if (!body)
                return;
        value = api_body_string(c, body, "sign_up", 1, 16);
        if (!value)
                return;
        if (sign_up_from_string(value, &s) < 0) {
                api_invalid(c, "sign_up must be closed, invite or open.");
                return;
        }
        if (sign_up_is_configured(c->backend)) {
                http_respond_problem(c->req, 409, "set-by-configuration",
                                     "The setting SSI_SIGN_UP of this server decides; change it there.");
                return;
        }
        api_act_begin(c, api_done_204);
        api_act_begun(c, sign_up_set(c->backend, s, api_actor(c), api_act_done, c));
}

const ApiRoute api_admin_sign_up_routes[] = {
        { "GET", "/api/v1/admin/sign-up", API_ADMIN, get_sign_up },
        { "PUT", "/api/v1/admin/sign-up", API_ADMIN_RECENT, put_sign_up },
        {},
};
