/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/field.h"
#include "api/invitation.h"
#include "api/usage.h"
#include "model/team.h"
#include "api/teams.sql.h"

/* Teams, their members and their invitations. */

static void list_teams(ApiCall *c)
{
        api_query(c, SQL(list_teams, API_CALLER(c)), api_done_200);
}

static const char *named_team(ApiCall *c)
{
        return http_request_param(c->req, "team_id");
}

static TeamRef team_ref(ApiCall *c)
{
        return (TeamRef){ .user = c->user, .role = c->role, .team = named_team(c) };
}

static void get_team(ApiCall *c)
{
        api_query(c, SQL(get_team, API_CALLER(c), .team = named_team(c)), api_done_200);
}

static void list_members(ApiCall *c)
{
        api_query(c, SQL(list_members, API_CALLER(c), .team = named_team(c)), api_done_200);
}

/* Answers what was not done. refused_type, refused: what TEAM_REFUSED means. */
static bool answered_refusal(ApiCall *c, PGresult *res, int error, const char *refused_type, const char *refused)
{
        TeamVerdict verdict;

        if (error < 0) {
                api_fail(c, res, error);
                return true;
        }
        if (PQntuples(res) == 0) {
                api_respond_not_found(c);
                return true;
        }
        verdict = team_verdict(res);
        if (verdict == TEAM_PERSONAL)
                http_respond_problem(
                        c->req, 409, "personal-team",
                        "A personal team has no other members and goes with its account: make another team.");
        else if (verdict == TEAM_OWNER_NEEDED)
                http_respond_problem(c->req, 403, "role-needed",
                                     "Only owners of the team make owners, or change them.");
        else if (verdict == TEAM_REFUSED)
                http_respond_problem(c->req, 409, refused_type, refused);
        return verdict != TEAM_DONE && verdict != TEAM_SAME;
}

static bool body_name(ApiCall *c, const char **ret)
{
        json_object *body = http_request_json(c->req);

        *ret = body ? api_body_line(c, body, "name", 1, TEAM_NAME_MAX) : NULL;
        return *ret;
}

static void answer_team(ApiCall *c, PGresult *res, int status)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "id", PQgetvalue(res, 0, TEAM_ID)) < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_json(c->req, status, TAKE_PTR(o));
}

static void team_made(ApiCall *c, PGresult *res, int error)
{
        if (!answered_refusal(c, res, error, "too-many-teams",
                              "An account can own at most " STRINGIFY(TEAMS_MAX) " teams: leave or delete one first."))
                answer_team(c, res, 201);
}

static void make_team(ApiCall *c)
{
        const char *name;

        if (!body_name(c, &name))
                return;
        api_act_begin(c, team_made);
        api_act_begun(c, team_add(c->backend, c->user, name, api_actor(c), api_act_done, c));
}

static void done_204(ApiCall *c, PGresult *res, int error)
{
        if (!answered_refusal(c, res, error, "last-owner",
                              "The team would have no owner any more: make another member an owner first."))
                http_respond_empty(c->req, 204);
}

static void rename_team(ApiCall *c)
{
        const TeamRef team = team_ref(c);
        const char *name;

        if (!body_name(c, &name))
                return;
        api_act_begin(c, done_204);
        api_act_begun(c, team_rename(c->backend, &team, name, api_actor(c), api_act_done, c));
}

static void team_deleted(ApiCall *c, PGresult *res, int error)
{
        if (!answered_refusal(c, res, error, "team-has-servers",
                              "The team still has servers: move them to another team, or remove them, first."))
                http_respond_empty(c->req, 204);
}

static void delete_team(ApiCall *c)
{
        const TeamRef team = team_ref(c);

        api_act_begin(c, team_deleted);
        api_act_begun(c, team_remove(c->backend, &team, api_actor(c), api_act_done, c));
}

/* ---- Members ---- */

static const char *body_role(ApiCall *c, json_object *body)
{
        const char *role = json_get_string(body, "role");

        if (team_role_is_valid(role))
                return role;
        api_invalid(c, "role must be \"viewer\", \"operator\", \"admin\" or \"owner\".");
        return NULL;
}

static void set_role(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *role = body ? body_role(c, body) : NULL;
        const TeamRef team = team_ref(c);

        if (!role)
                return;
        api_act_begin(c, done_204);
        api_act_begun(c, team_set_role(c->backend, &team, http_request_param(c->req, "user_id"), role, api_actor(c),
                                       api_act_done, c));
}

static void remove_member(ApiCall *c)
{
        const TeamRef team = team_ref(c);

        api_act_begin(c, done_204);
        api_act_begun(c, team_remove_member(c->backend, &team, http_request_param(c->req, "user_id"), api_actor(c),
                                            api_act_done, c));
}

static void leave_team(ApiCall *c)
{
        const TeamRef team = team_ref(c);

        api_act_begin(c, done_204);
        api_act_begun(c, team_remove_member(c->backend, &team, c->user, api_actor(c), api_act_done, c));
}

static void joined(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) == 0)
                http_respond_problem(
                        c->req, 403, "bad-invitation",
                        "The invitation is unknown, used or expired, for another address, or to a team that you "
                        "belong to already.");
        else if (!answered_refusal(c, res, error, "", ""))
                answer_team(c, res, 200);
}

static void join_team(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *token = body ? api_body_string(c, body, "invitation", 1, 256) : NULL;

        if (!token)
                return;
        api_act_begin(c, joined);
        api_act_begun(c, team_join(c->backend, c->user, token, api_actor(c), api_act_done, c));
}

/* ---- Invitations ---- */

static void list_invitations(ApiCall *c)
{
        api_query(c, SQL(list_team_invitations, API_CALLER(c), .team = named_team(c)), api_done_200);
}

/* The statement that makes it looks again. */
static void may_invite(ApiCall *c, PGresult *res, int error)
{
        json_object *body = http_request_json(c->req), *team = NULL;
        InvitationNew new;
        const char *role;
        bool is_personal = false;

        if (error < 0 || PQntuples(res) == 0) {
                api_done_200(c, res, error);
                return;
        }
        if (json_parse(PQgetvalue(res, 0, 0), (size_t) PQgetlength(res, 0, 0), &team) < 0) {
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        (void) json_get_bool(team, "personal", &is_personal);
        json_object_put(team);
        if (is_personal) {
                http_respond_problem(c->req, 409, "personal-team",
                                     "A personal team has no other members: make another team.");
                return;
        }
        role = body_role(c, body);
        if (!role || !api_parse_invitation(c, body, &new))
                return;
        if (streq(role, "owner")) {
                api_invalid(c, "Nobody is invited as an owner: make a member one.");
                return;
        }
        new.team = named_team(c);
        new.role = c->role;
        new.to = role;
        api_make_invitation(c, &new);
}

static void invite(ApiCall *c)
{
        if (http_request_json(c->req))
                api_query(c, SQL(get_team, API_CALLER(c), .team = named_team(c)), may_invite);
}

static void withdraw_invitation(ApiCall *c)
{
        api_act_begin(c, api_done_204);
        api_act_begun(c, invitation_remove(c->backend, c->user, named_team(c), c->role,
                                           http_request_param(c->req, "invitation_id"), api_actor(c), api_act_done, c));
}

/* ---- Servers ---- */

static void server_moved(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0 && team_verdict(res) == TEAM_REFUSED)
                api_respond_quota_reached(c, "too-many-servers", "servers");
        else if (!answered_refusal(c, res, error, "", ""))
                http_respond_empty(c->req, 204);
}

static void move_server(ApiCall *c)
{
        json_object *body = http_request_json(c->req);

        if (!body || !api_body_team(c, body))
                return;
        if (!c->about_team) {
                api_invalid(c, "team must be the id of a team.");
                return;
        }

        const TeamRef team = { .user = c->user, .role = c->role, .team = c->about_team };

        api_act_begin(c, server_moved);
        api_act_begun(c, team_move_server(c->backend, &team, http_request_param(c->req, "server_id"), api_actor(c),
                                          api_act_done, c));
}

const ApiRoute api_team_routes[] = {
        { "GET", "/api/v1/teams", API_READ, list_teams },
        { "POST", "/api/v1/teams", API_WRITE, make_team },
        { "POST", "/api/v1/teams/join", API_ACCOUNT, join_team },
        { "GET", "/api/v1/teams/:team_id", API_READ, get_team },
        { "PATCH", "/api/v1/teams/:team_id", API_WRITE, rename_team },
        { "DELETE", "/api/v1/teams/:team_id", API_ACCOUNT, delete_team },
        { "GET", "/api/v1/teams/:team_id/members", API_READ, list_members },
        { "PATCH", "/api/v1/teams/:team_id/members/:user_id", API_RECENT, set_role },
        { "DELETE", "/api/v1/teams/:team_id/members/:user_id", API_ACCOUNT, remove_member },
        { "POST", "/api/v1/teams/:team_id/leave", API_ACCOUNT, leave_team },
        { "GET", "/api/v1/teams/:team_id/invitations", API_ACCOUNT, list_invitations },
        { "POST", "/api/v1/teams/:team_id/invitations", API_RECENT, invite },
        { "DELETE", "/api/v1/teams/:team_id/invitations/:invitation_id", API_ACCOUNT, withdraw_invitation },
        { "PUT", "/api/v1/servers/:server_id/team", API_WRITE, move_server },
        {},
};
