/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/sql.h"
#include "api/api.h"
#include "notify/notifier.h"
#include "shared/status-line.h"
#include "auth/token.h"
#include "api/field.h"

/* What keeps quiet: silences, for a time, and acknowledgements, until the recovery. */

#define SILENCES_MAX "500" /* per user */
#define REASON_BYTES 500
#define FILTER_BYTES 64

#define SQL_USER_ID "(SELECT id FROM users WHERE public_id = $1)"

/* Of silences m and servers s, which may be null. */
#define SQL_SILENCE                                                                                             \
        "json_build_object('id', m.public_id, 'server_id', s.public_id, 'service', m.service, 'label', m.label,"\
        " 'reason', m.reason, 'created_at', " SQL_TIME("m.created_at") ","                                      \
        " 'ends_at', CASE WHEN m.ends_at < 'infinity' THEN " SQL_TIME("m.ends_at") " END)"

static void list_silences(ApiCall *c)
{
        const char *params[] = { c->user };

        api_query(c, "SELECT coalesce(json_agg(" SQL_SILENCE " ORDER BY m.ends_at, m.id), '[]')"
                     " FROM silences m LEFT JOIN servers s ON s.id = m.server_id"
                     " WHERE m.user_id = " SQL_USER_ID " AND m.ends_at > now()",
                  1, params, api_done_200);
}

/* A string of the body that may be missing or null; false when it has answered. */
static bool optional_string(ApiCall *c, json_object *body, const char *key, const char **ret)
{
        json_object *o = NULL;

        (void) json_object_object_get_ex(body, key, &o);
        *ret = o ? api_body_string(c, body, key, 1, FILTER_BYTES) : NULL;
        return !o || *ret;
}

/* Null or absent: for ever. */
static bool parse_end(ApiCall *c, json_object *body, const char **ret)
{
        uint64_t usec;

        if (!optional_string(c, body, "ends_at", ret))
                return false;
        if (*ret && (parse_rfc3339(*ret, &usec) < 0 || usec / USEC_PER_SEC <= api_now())) {
                api_invalid(c, "ends_at must be a future RFC 3339 time, or null.");
                return false;
        }
        return true;
}

static void silence_made(ApiCall *c, PGresult *res, int error)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                http_respond_problem(c->req, 404, "not-found", "There is no such server, or too many silences.");
        else
                http_respond_data(c->req, 201, "application/json", PQgetvalue(res, 0, 0),
                                  (size_t) PQgetlength(res, 0, 0));
}

static void create_silence(ApiCall *c)
{
        const char *server, *service, *label, *reason, *end;
        json_object *body = http_request_json(c->req);
        char id[ID_MAX];

        if (!body || !optional_string(c, body, "server_id", &server) || !optional_string(c, body, "service", &service) ||
            !optional_string(c, body, "label", &label) || !parse_end(c, body, &end))
                return;
        reason = api_body_string(c, body, "reason", 1, REASON_BYTES);
        if (!reason)
                return;
        if (!server && !service && !label) {
                api_invalid(c, "A silence needs a server_id, a service or a label.");
                return;
        }
        id_new("sil", id);

        const char *params[] = { c->user, id, server, service, label, reason, end };

        api_query(c, "WITH m AS (INSERT INTO silences (user_id, public_id, server_id, service, label, reason, ends_at)"
                     "  SELECT u.id, $2, s.id, $4, $5, $6, coalesce($7::timestamptz, 'infinity')"
                     "  FROM users u LEFT JOIN servers s ON s.public_id = $3 AND s.user_id = u.id"
                     "  WHERE u.public_id = $1 AND ($3::text IS NULL OR s.id IS NOT NULL)"
                     "  AND (SELECT count(*) FROM silences o WHERE o.user_id = u.id AND o.ends_at > now()) < " SILENCES_MAX
                     "  RETURNING *)"
                     " SELECT " SQL_SILENCE " FROM m LEFT JOIN servers s ON s.id = m.server_id",
                  ELEMENTSOF(params), params, silence_made);
}

/* What was kept back is looked at again. */
#define SQL_RELEASE(reason)                                                                                     \
        " released AS (UPDATE notification_states n SET held_until = now() FROM notification_channels c, m"     \
        "  WHERE c.id = n.channel_id AND c.user_id = m.user_id AND n.held_reason = '" reason "')"

static void released(ApiCall *c, PGresult *res, int error)
{
        notifier_kick(c->backend->notifier);
        api_done_204(c, res, error);
}

static void delete_silence(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "id") };

        api_query(c, "WITH m AS (DELETE FROM silences m WHERE m.user_id = " SQL_USER_ID " AND m.public_id = $2"
                     "  RETURNING m.user_id)," SQL_RELEASE("silence") " SELECT 1 FROM m",
                  2, params, released);
}

static void change_silence(ApiCall *c)
{
        json_object *body = http_request_json(c->req), *o;
        const char *reason = NULL, *end;

        if (!body || !parse_end(c, body, &end))
                return;
        if (json_object_object_get_ex(body, "reason", &o)) {
                reason = api_body_string(c, body, "reason", 1, REASON_BYTES);
                if (!reason)
                        return;
        }

        const char *params[] = { c->user, http_request_param(c->req, "id"), reason,
                                 json_object_object_get_ex(body, "ends_at", &o) ? "t" : "f", end };

        api_query(c, "WITH m AS (UPDATE silences m SET reason = coalesce($3, m.reason),"
                     "   ends_at = CASE WHEN $4::bool THEN coalesce($5::timestamptz, 'infinity') ELSE m.ends_at END"
                     "  WHERE m.user_id = " SQL_USER_ID " AND m.public_id = $2 RETURNING *)," SQL_RELEASE("silence")
                     " SELECT " SQL_SILENCE " FROM m LEFT JOIN servers s ON s.id = m.server_id",
                  ELEMENTSOF(params), params, api_done_200);
}

/* ---- Acknowledgements ---- */

#define SQL_OWN_SERVICE                                                                                         \
        "servers s JOIN services v ON v.server_id = s.id WHERE s.public_id = $2 AND v.name = $3 AND " SQL_OWNED_BY("$1")

static void acknowledged(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0 && PQgetisnull(res, 0, 0)) {
                http_respond_problem(c->req, 409, "nothing-wrong", "The service has no problem to acknowledge.");
                return;
        }
        if (error == 0 && PQntuples(res) > 0)
                backend_publish_one(c->backend, CHANGE_SERVICE, c->user, http_request_param(c->req, "server_id"),
                                   http_request_param(c->req, "name"));
        api_done_200(c, res, error);
}

static void acknowledge(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        const char *reason;

        if (!body)
                return;
        reason = api_body_string(c, body, "reason", 1, REASON_BYTES);
        if (!reason)
                return;

        const char *params[] = { c->user, http_request_param(c->req, "server_id"), http_request_param(c->req, "name"),
                                 reason };

        /* It covers what is wrong now, and nothing worse. */
        api_query(c, "WITH f AS (SELECT v.server_id, v.name, greatest(notification_severity('status', v.status::text),"
                     "   CASE WHEN v.error_kind IS NOT NULL OR v.stale_since IS NOT NULL THEN 2 ELSE 0 END) AS severity"
                     "  FROM " SQL_OWN_SERVICE "),"
                     " a AS (INSERT INTO acknowledgements AS a (server_id, service, reason, severity)"
                     "  SELECT f.server_id, f.name, $4, f.severity FROM f WHERE f.severity > 0"
                     "  ON CONFLICT (server_id, service) DO UPDATE SET reason = excluded.reason,"
                     "   severity = excluded.severity, created_at = now() RETURNING *)"
                     " SELECT CASE WHEN a.reason IS NOT NULL THEN json_build_object('reason', a.reason, 'created_at', "
                     SQL_TIME("a.created_at") ") END FROM f LEFT JOIN a ON true",
                  ELEMENTSOF(params), params, acknowledged);
}

static void withdrawn(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0)
                backend_publish_one(c->backend, CHANGE_SERVICE, c->user, http_request_param(c->req, "server_id"),
                                   http_request_param(c->req, "name"));
        released(c, res, error);
}

static void withdraw_acknowledgement(ApiCall *c)
{
        const char *params[] = { c->user, http_request_param(c->req, "server_id"), http_request_param(c->req, "name") };

        api_query(c, "WITH f AS (SELECT s.user_id, v.server_id, v.name FROM " SQL_OWN_SERVICE "),"
                     " m AS (DELETE FROM acknowledgements a USING f WHERE a.server_id = f.server_id AND a.service = f.name"
                     "  RETURNING f.user_id)," SQL_RELEASE("acknowledged") " SELECT 1 FROM m",
                  3, params, withdrawn);
}

const ApiRoute api_silence_routes[] = {
        { "GET", "/api/v1/silences", API_READ, list_silences },
        { "POST", "/api/v1/silences", API_WRITE, create_silence },
        { "PATCH", "/api/v1/silences/:id", API_WRITE, change_silence },
        { "DELETE", "/api/v1/silences/:id", API_WRITE, delete_silence },
        { "POST", "/api/v1/servers/:server_id/services/:name/acknowledgement", API_WRITE, acknowledge },
        { "DELETE", "/api/v1/servers/:server_id/services/:name/acknowledgement", API_WRITE, withdraw_acknowledgement },
        {},
};
