/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/channel-test.h"
#include "db/array.h"
#include "notify/notifier.h"
#include "auth/token.h"
#include "shared/status.h"
#include "api/field.h"
#include "api/channels.sql.h"

/* Notification channels. Their configs are masked before they leave, so they pass through here and not
 * straight from the database. */

#define NAME_BYTES   64
#define FILTER_MAX   64 /* elements of a filter */
#define FILTER_BYTES 64
#define DAMPING_MAX  20

static json_object *channel_object(PGresult *res, int row)
{
        _cleanup_json_ json_object *o = NULL, *config = NULL, *masked = NULL;

        if (json_parse(PQgetvalue(res, row, 0), (size_t) PQgetlength(res, row, 0), &o) < 0 ||
            json_parse(PQgetvalue(res, row, 1), (size_t) PQgetlength(res, row, 1), &config) < 0 ||
            channel_config_mask(PQgetvalue(res, row, 2), config, &masked) < 0 ||
            json_add_take(o, "config", TAKE_PTR(masked)) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static void respond_channel(ApiCall *c, PGresult *res, int error, int status)
{
        if (error < 0)
                api_fail(c, res, error);
        else if (PQntuples(res) == 0)
                api_respond_not_found(c);
        else
                http_respond_json(c->req, status, channel_object(res, 0));
}

static void channel_done(ApiCall *c, PGresult *res, int error)
{
        respond_channel(c, res, error, 200);
}

static void channel_made(ApiCall *c, PGresult *res, int error)
{
        if (error == 0 && PQntuples(res) > 0 && PQgetisnull(res, 0, 2))
                http_respond_problem(
                        c->req, 409, "too-many-channels",
                        "The team has as many channels as its quota allows (GET /api/v1/users/me/usage shows the quotas), or "
                        "a second one of type push for you: remove one first.");
        else
                respond_channel(c, res, error, 201);
}

static void channels_done(ApiCall *c, PGresult *res, int error)
{
        _cleanup_json_ json_object *list = NULL;

        if (error < 0) {
                api_fail(c, res, error);
                return;
        }
        list = json_object_new_array();
        for (int row = 0; list && row < PQntuples(res); row++) {
                json_object *o = channel_object(res, row);

                if (!o || json_object_array_add(list, o) < 0) {
                        json_object_put(o);
                        api_fail(c, NULL, -ENOMEM);
                        return;
                }
        }
        http_respond_json(c->req, 200, TAKE_PTR(list));
}

static void list_channels(ApiCall *c)
{
        const char *team;

        if (api_query_team(c, &team))
                api_query(c, SQL(list_channels, API_CALLER(c), .team = team), channels_done);
}

static void get_channel(ApiCall *c)
{
        api_query(c, SQL(get_channel, API_CALLER(c), .id = http_request_param(c->req, "id")), channel_done);
}

static void delete_channel(ApiCall *c)
{
        api_query(c, SQL(delete_channel, API_CALLER(c), .id = http_request_param(c->req, "id"), .actor = api_actor(c)),
                  api_done_204);
}

/* ---- What a client sends ---- */

/* NULL means absent. */
typedef struct ChannelFields {
        const char *name, *enabled, *min_severity, *kinds, *servers, *labels, *damping;
        bool has_damping; /* because null is a value for it */
        DbArray arrays[3];
        char damping_text[16];
} ChannelFields;

static void channel_fields_done(ChannelFields *f)
{
        db_arrays_free(f->arrays, ELEMENTSOF(f->arrays));
}

static bool is_kind(const char *s)
{
        return streq(s, "status") || streq(s, "error") || streq(s, "stale") || streq(s, "state");
}

/* An array of short strings. Returns false if it has answered. */
static bool parse_strings(ApiCall *c, json_object *body, const char *key, bool (*check)(const char *s), DbArray *a,
                          const char **ret)
{
        json_object *list = NULL;

        if (!json_object_object_get_ex(body, key, &list))
                return true;
        if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) > FILTER_MAX) {
                api_invalid(c, "%s must be an array of at most %d strings.", key, FILTER_MAX);
                return false;
        }
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *o = json_object_array_get_idx(list, i);
                const char *s = json_object_get_string(o);

                if (!json_object_is_type(o, json_type_string) || isempty(s) || strlen(s) > FILTER_BYTES ||
                    strlen(s) != (size_t) json_object_get_string_len(o) || (check && !check(s))) {
                        api_invalid(c,
                                    check ? "%s must be an array of \"status\", \"error\", \"stale\", \"state\"." :
                                            "%s must be an array of strings of 1 to 64 bytes.",
                                    key);
                        return false;
                }
                db_array_text(a, s);
        }
        *ret = db_array_done(a);
        if (!*ret)
                api_fail(c, NULL, -ENOMEM);
        return *ret != NULL;
}

static bool parse_damping(ApiCall *c, json_object *body, ChannelFields *f)
{
        json_object *o = NULL;
        int64_t n;

        f->has_damping = json_object_object_get_ex(body, "damping", &o);
        if (!o)
                return true;
        if (json_get_int64(body, "damping", &n) < 0 || n < 1 || n > DAMPING_MAX) {
                api_invalid(c, "damping must be a number from 1 to %d, or null for the account's.", DAMPING_MAX);
                return false;
        }
        snprintf(f->damping_text, sizeof(f->damping_text), "%d", (int) n);
        f->damping = f->damping_text;
        return true;
}

static bool parse_fields(ApiCall *c, json_object *body, ChannelFields *f)
{
        json_object *o;
        bool enabled;

        if (json_object_object_get_ex(body, "name", &o)) {
                f->name = api_body_string(c, body, "name", 1, NAME_BYTES);
                if (!f->name)
                        return false;
        }
        if (json_object_object_get_ex(body, "enabled", &o)) {
                if (json_get_bool(body, "enabled", &enabled) < 0) {
                        api_invalid(c, "enabled must be true or false.");
                        return false;
                }
                f->enabled = sql_bool(enabled);
        }
        if (json_object_object_get_ex(body, "min_severity", &o)) {
                f->min_severity = json_get_string(body, "min_severity");
                if (!f->min_severity || status_from_string(f->min_severity) < STATUS_UPDATE) {
                        api_invalid(c, "min_severity must be \"UPDATE\", \"WARNING\" or \"FAILURE\".");
                        return false;
                }
        }
        return parse_strings(c, body, "kinds", is_kind, &f->arrays[0], &f->kinds) &&
               parse_strings(c, body, "servers", NULL, &f->arrays[1], &f->servers) &&
               parse_strings(c, body, "labels", NULL, &f->arrays[2], &f->labels) && parse_damping(c, body, f);
}

/* Checks a complete config; returns false if it has answered. */
static bool check_config(ApiCall *c, const char *type, json_object *config)
{
        _cleanup_free_ char *detail = NULL;
        int r;

        if (streq(type, "email") && !delivery_has_mail(notifier_config(c->backend->notifier))) {
                http_respond_problem(c->req, 409, "mail-not-configured",
                                     "This server does not send mail (SSI_SMTP_URL).");
                return false;
        }
        r = channel_config_check(type, config, &detail);
        if (r == -EINVAL)
                api_invalid(c, "%s", strempty(detail));
        else if (r < 0)
                api_fail(c, NULL, r);
        return r >= 0;
}

static void create_channel(ApiCall *c)
{
        _cleanup_(channel_fields_done) ChannelFields f = {};
        _cleanup_json_ json_object *none = NULL;
        json_object *body = http_request_json(c->req), *config;
        const char *type;
        char id[ID_MAX];

        if (!body)
                return;
        type = api_body_string(c, body, "type", 1, 16);
        if (!type || !parse_fields(c, body, &f) || !api_body_team(c, body))
                return;
        if (!f.name) {
                api_invalid(c, "name must be a string.");
                return;
        }
        config = json_get_object(body, "config") ?: (none = json_object_new_object());
        if (!check_config(c, type, config))
                return;
        id_new("chn", id);

        api_query(c,
                  SQL(create_channel, API_CALLER(c), .team = c->about_team, .id = id, .type = type,
                      .config = json_object_to_json_string_ext(config, JSON_C_TO_STRING_PLAIN), .name = f.name,
                      .enabled = f.enabled, .min_severity = f.min_severity, .kinds = f.kinds, .servers = f.servers,
                      .labels = f.labels, .damping = f.damping, .actor = api_actor(c)),
                  channel_made);
}

/* The row: current type and config. */
static void change_found(ApiCall *c, PGresult *res, int error)
{
        _cleanup_(channel_fields_done) ChannelFields f = {};
        _cleanup_json_ json_object *old = NULL, *merged = NULL;
        json_object *body = http_request_json(c->req), *change = json_get_object(body, "config");
        const char *lost = NULL;
        int r;

        if (error < 0 || PQntuples(res) == 0) {
                respond_channel(c, res, error, 200);
                return;
        }
        r = json_parse(PQgetvalue(res, 0, 1), (size_t) PQgetlength(res, 0, 1), &old);
        if (r >= 0 && change)
                lost = channel_config_lost_secret(PQgetvalue(res, 0, 0), old, change);
        if (lost) {
                api_invalid(
                        c,
                        "config.%s is stored for the old address and is not sent to another one: give it again, or null to "
                        "remove it.",
                        lost);
                return;
        }
        if (r >= 0 && change)
                r = channel_config_merge(PQgetvalue(res, 0, 0), old, change, &merged);
        if (r < 0) {
                api_fail(c, NULL, r);
                return;
        }
        if ((merged && !check_config(c, PQgetvalue(res, 0, 0), merged)) || !parse_fields(c, body, &f))
                return;

        /* Messages that wait for the channel are retried at once: the change may have repaired it. */
        api_query(c,
                  SQL(change_found, API_CALLER(c), .id = http_request_param(c->req, "id"),
                      .config = merged ? json_object_to_json_string_ext(merged, JSON_C_TO_STRING_PLAIN) : NULL,
                      .name = f.name, .enabled = f.enabled, .min_severity = f.min_severity, .kinds = f.kinds,
                      .servers = f.servers, .labels = f.labels, .has_damping = sql_bool(f.has_damping),
                      .damping = f.damping, .actor = api_actor(c)),
                  channel_done);
}

static void change_channel(ApiCall *c)
{
        json_object *body = http_request_json(c->req), *o;

        if (!body)
                return;
        if (json_object_object_get_ex(body, "config", &o) && !json_object_is_type(o, json_type_object)) {
                api_invalid(c, "config must be an object.");
                return;
        }
        if (json_object_object_get_ex(body, "type", &o)) {
                api_invalid(c, "The type of a channel cannot be changed; create a new channel.");
                return;
        }
        api_query(c, SQL(change_channel, API_CALLER(c), .id = http_request_param(c->req, "id")), change_found);
}

const ApiRoute api_channel_routes[] = {
        { "GET", "/api/v1/notifications/channels", API_READ, list_channels },
        { "POST", "/api/v1/notifications/channels", API_WRITE, create_channel },
        { "GET", "/api/v1/notifications/channels/:id", API_READ, get_channel },
        { "PATCH", "/api/v1/notifications/channels/:id", API_WRITE, change_channel },
        { "DELETE", "/api/v1/notifications/channels/:id", API_WRITE, delete_channel },
        { "POST", "/api/v1/notifications/channels/:id/test", API_WRITE, channel_test },
        {},
};
