/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "api/call.h"
#include "shared/status-line.h"
#include "auth/token.h"
#include "api/field.h"

void api_invalid(ApiCall *c, const char *format, ...)
{
        char detail[256];
        va_list ap;

        va_start(ap, format);
        vsnprintf(detail, sizeof(detail), format, ap);
        va_end(ap);
        http_respond_problem(c->req, 400, "invalid-request", detail);
}

const char *api_body_string(ApiCall *c, json_object *body, const char *key, size_t min, size_t max)
{
        const char *s = json_get_string(body, key);

        if (!s)
                api_invalid(c, "%s must be a string.", key);
        else if (strlen(s) < min || strlen(s) > max) {
                api_invalid(c, "%s must be %zu to %zu bytes long.", key, min, max);
                s = NULL;
        }
        return s;
}

const char *api_body_line(ApiCall *c, json_object *body, const char *key, size_t min, size_t max)
{
        const char *s = api_body_string(c, body, key, min, max);

        if (s && !text_is_line(s)) {
                api_invalid(c, "%s must not contain control or invisible characters.", key);
                s = NULL;
        }
        return s;
}

const char *api_body_server_name(ApiCall *c, json_object *body, const char *key)
{
        const char *s = api_body_string(c, body, key, 1, SERVER_NAME_MAX);

        if (s && !server_name_is_valid(s)) {
                api_invalid(c, "%s must not contain control or invisible characters.", key);
                s = NULL;
        }
        return s;
}

const char *api_body_email(ApiCall *c, json_object *body, bool new)
{
        const char *s = api_body_string(c, body, "email", 1, EMAIL_MAX);

        if (s && !(new ? email_is_acceptable(s) : email_is_plausible(s))) {
                api_invalid(c, "email is not a valid e-mail address%s", new ? " of ASCII characters." : ".");
                s = NULL;
        }
        return s;
}

bool api_check_new_password(ApiCall *c, const char *password, const char *email)
{
        const char *fault = password_fault(password, email);

        if (fault)
                http_respond_problem(c->req, 400, "weak-password", fault);
        return !fault;
}

const char *api_body_new_password(ApiCall *c, json_object *body, const char *key, const char *email)
{
        const char *s = api_body_string(c, body, key, PASSWORD_MIN, PASSWORD_MAX);

        return s && api_check_new_password(c, s, email) ? s : NULL;
}

const char *api_body_password(ApiCall *c, json_object *body, const char *key)
{
        return api_body_string(c, body, key, 1, PASSWORD_MAX);
}

bool api_body_labels(ApiCall *c, json_object *body, DbArray *ret)
{
        json_object *list = NULL;

        if (!json_object_object_get_ex(body, "labels", &list) || !list)
                return true;
        if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) > LABELS_MAX) {
                api_invalid(c, "labels must be an array of at most %d strings.", LABELS_MAX);
                return false;
        }
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *o = json_object_array_get_idx(list, i);
                const char *s = json_object_get_string(o);

                if (!json_object_is_type(o, json_type_string) || strlen(s) != (size_t) json_object_get_string_len(o) ||
                    !label_is_valid(s)) {
                        api_invalid(
                                c, "A label must be a string of 1 to %d bytes without control or invisible characters.",
                                LABEL_MAX);
                        return false;
                }
                db_array_text(ret, s);
        }
        return true;
}

static bool is_known(const char *const *known, const char *s, size_t n)
{
        for (; *known; known++)
                if (strlen(*known) == n && memcmp(*known, s, n) == 0)
                        return true;
        return false;
}

bool api_query_words(ApiCall *c, const char *key, const char *const *known, ApiWords *ret)
{
        const char *value = http_request_query(c->req, key), *s = value;

        ret->array = NULL;
        if (!value)
                return true;
        while (strlen(value) < sizeof(ret->text) - 2) {
                size_t n = strcspn(s, ",");

                if (!is_known(known, s, n))
                        break;
                if (s[n] == '\0') {
                        snprintf(ret->text, sizeof(ret->text), "{%s}", value);
                        ret->array = ret->text;
                        return true;
                }
                s += n + 1;
        }
        api_invalid(c, "%s has an unknown value.", key);
        return false;
}

bool api_query_line(ApiCall *c, const char *key, size_t max, const char **ret)
{
        const char *s = http_request_query(c->req, key);

        if (s && (strlen(s) > max || !text_is_line(s))) {
                api_invalid(c, "%s must be at most %zu bytes without control or invisible characters.", key, max);
                return false;
        }
        *ret = s;
        return true;
}

/* Of a team, or of the account whose personal one it is. */
static bool is_team_id(const char *s)
{
        return (startswith(s, "team-") || startswith(s, "usr-")) && strlen(s) < ID_MAX &&
               s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

bool api_query_team(ApiCall *c, const char **ret)
{
        const char *s = http_request_query(c->req, "team");

        if (s && !is_team_id(s)) {
                api_invalid(c, "team must be the id of a team.");
                return false;
        }
        *ret = s;
        return true;
}

bool api_body_team(ApiCall *c, json_object *body)
{
        json_object *o = NULL;

        if (!json_object_object_get_ex(body, "team", &o))
                return true;
        c->about_team = json_get_string(body, "team");
        if (!c->about_team || !is_team_id(c->about_team)) {
                api_invalid(c, "team must be the id of a team.");
                return false;
        }
        return true;
}

bool api_query_time(ApiCall *c, const char *key, const char **ret)
{
        const char *s = http_request_query(c->req, key);
        uint64_t usec;

        if (s && parse_rfc3339(s, &usec) < 0) {
                api_invalid(c, "%s must be an RFC 3339 time.", key);
                return false;
        }
        *ret = s;
        return true;
}
