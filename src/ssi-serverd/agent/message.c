/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <utlist.h>

#include "agent/message-internal.h"
#include "db/array.h"
#include "shared/metadata.h"
#include "shared/slug.h"
#include "shared/status-line.h"

int parse_refuse(Parser *p, int r, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(p->error, AGENT_ERROR_MAX, format, ap);
        va_end(ap);
        return r;
}

/* Absent and null are the same. */
bool parse_is_given(json_object *o, const char *key)
{
        json_object *v;

        return json_object_object_get_ex(o, key, &v) && v;
}

/* Borrowed from o; NULL if absent. */
static int get_text(Parser *p, json_object *o, const char *key, bool required, size_t max, const char **ret)
{
        const char *s = json_get_string(o, key);

        if (!s && (required || parse_is_given(o, key)))
                return parse_refuse(p, -EBADMSG, parse_is_given(o, key) ? "%s is not a string" : "%s is missing", key);
        if (s && strlen(s) > max)
                return parse_refuse(p, -EMSGSIZE, "%s is longer than %zu bytes", key, max);
        *ret = s;
        return 0;
}

int parse_copy_text(Parser *p, json_object *o, const char *key, bool required, size_t max, char **ret)
{
        const char *s = NULL;
        int r;

        r = get_text(p, o, key, required, max, &s);
        if (r < 0 || !s)
                return r;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

int parse_get_slug(Parser *p, json_object *o, const char **ret)
{
        int r;

        r = get_text(p, o, "service_name", true, SLUG_MAX, ret);
        if (r < 0)
                return r;
        return slug_is_valid(*ret) ?
                       0 :
                       parse_refuse(p, -EBADMSG, "service_name may contain only a-z, 0-9 and single inner dashes");
}

int parse_get_time(Parser *p, json_object *o, const char *key, bool required, uint64_t *ret)
{
        const char *s = json_get_string(o, key);

        if (!s && !required && !parse_is_given(o, key))
                return 0;
        if (!s || parse_rfc3339(s, ret) < 0)
                return parse_refuse(p, -EBADMSG, "%s is not an RFC 3339 time", key);
        return 0;
}

int parse_get_milliseconds(Parser *p, json_object *o, const char *key, int64_t *ret)
{
        int64_t v;
        int r;

        r = json_get_int64(o, key, &v);
        if (r == -ENOENT)
                return 0;
        if (r < 0 || v < 0 || v > DURATION_MAX)
                return parse_refuse(p, -EBADMSG, "%s is not a number of milliseconds up to a year", key);
        *ret = v;
        return 0;
}

static int get_invocation_id(Parser *p, json_object *o, const char **ret)
{
        const char *s = NULL;
        int r;

        r = get_text(p, o, "invocation_id", false, 32, &s);
        if (r < 0)
                return r;
        if (s && (strlen(s) != 32 || strspn(s, "0123456789abcdef") != 32))
                return parse_refuse(p, -EBADMSG, "invocation_id is not 32 hexadecimal digits");
        *ret = s;
        return 0;
}

static int get_status(Parser *p, json_object *o, Status *ret, const char **message)
{
        const char *s = json_get_string(o, "status");

        if (!s)
                return parse_refuse(p, -EBADMSG, "status is missing");
        *ret = status_from_string(s);
        if (*ret < 0)
                return parse_refuse(p, -EBADMSG, "status is not OK, UPDATE, WARNING or FAILURE");
        return get_text(p, o, "message", true, AGENT_MESSAGE_MAX, message);
}

static int get_error(Parser *p, json_object *o, IngestText *text)
{
        static const char *const kinds[] = {
                "exit-code",      "signal",    "core-dump",      "timeout", "oom-kill",
                "no-status-line", "resources", "not-executable", "other",
        };
        json_object *e = json_get_object(o, "error");
        int r;

        if (!e)
                return parse_refuse(p, -EBADMSG, "error is not an object");
        r = get_text(p, e, "kind", true, ID_LENGTH_MAX, &text->error_kind);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (streq(text->error_kind, kinds[i]))
                        return get_text(p, e, "detail", false, AGENT_MESSAGE_MAX, &text->error_detail);
        return parse_refuse(p, -EBADMSG, "error.kind is unknown");
}

/* Appends one result or execution error to the list. */
static int parse_item(Parser *p, json_object *o, IngestKind kind, IngestItem **list)
{
        Status status = _STATUS_INVALID;
        uint64_t timestamp = 0;
        int64_t duration = -1;
        IngestText text = {};
        IngestItem *item;
        int r;

        r = parse_get_slug(p, o, &text.service);
        if (r < 0)
                return r;
        r = parse_get_time(p, o, "timestamp", true, &timestamp);
        if (r < 0)
                return r;
        r = kind == INGEST_ERROR ? get_error(p, o, &text) : get_status(p, o, &status, &text.message);
        if (r < 0)
                return r;
        r = get_text(p, o, "cursor", false, CURSOR_LENGTH_MAX, &text.cursor);
        if (r < 0)
                return r;
        r = get_invocation_id(p, o, &text.invocation_id);
        if (r < 0)
                return r;
        r = parse_get_milliseconds(p, o, "duration_ms", &duration);
        if (r < 0)
                return r;
        item = ingest_item_new(kind, &text);
        if (!item)
                return -ENOMEM;
        item->status = status;
        item->timestamp = timestamp;
        item->duration_ms = duration;
        DL_APPEND(*list, item);
        return 0;
}

static int parse_batch(Parser *p, json_object *payload, IngestItem **list)
{
        json_object *items = json_get_array(payload, "items");
        size_t n;
        int r;

        if (!items)
                return parse_refuse(p, -EBADMSG, "items is not an array");
        n = json_object_array_length(items);
        if (n > AGENT_BATCH_MAX)
                return parse_refuse(p, -EMSGSIZE, "items has more than %d elements", AGENT_BATCH_MAX);
        for (size_t i = 0; i < n; i++) {
                json_object *o = json_object_array_get_idx(items, i);

                if (!json_object_is_type(o, json_type_object))
                        return parse_refuse(p, -EBADMSG, "an item is not an object");
                r = parse_item(p, o, parse_is_given(o, "error") ? INGEST_ERROR : INGEST_RESULT, list);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int parse_gap(Parser *p, json_object *payload, IngestItem **list)
{
        uint64_t from = USEC_INFINITY, to = 0;
        IngestText text = {};
        IngestItem *item;
        int r;

        r = get_text(p, payload, "cursor", false, CURSOR_LENGTH_MAX, &text.cursor);
        if (r < 0)
                return r;
        r = parse_get_time(p, payload, "from", false, &from);
        if (r < 0)
                return r;
        r = parse_get_time(p, payload, "to", true, &to);
        if (r < 0)
                return r;
        item = ingest_item_new(INGEST_GAP, &text);
        if (!item)
                return -ENOMEM;
        item->gap_from = from;
        item->timestamp = to;
        DL_APPEND(*list, item);
        return 0;
}

static int parse_auth(Parser *p, json_object *payload, AgentMessage *m)
{
        int r;

        r = parse_copy_text(p, payload, "agent_id", true, ID_LENGTH_MAX, &m->agent_id);
        if (r < 0)
                return r;
        r = parse_copy_text(p, payload, "api_key", true, KEY_LENGTH_MAX, &m->api_key);
        if (r < 0)
                return r;
        r = parse_copy_text(p, payload, "version", false, NAME_LENGTH_MAX, &m->version);
        if (r < 0)
                return r;
        r = parse_copy_text(p, payload, "hostname", false, NAME_LENGTH_MAX, &m->hostname);
        if (r < 0)
                return r;
        return parse_copy_text(p, payload, "boot_id", false, ID_LENGTH_MAX, &m->boot_id);
}

/* Appends an item without data. */
static int add_mark(IngestKind kind, IngestItem **list)
{
        IngestItem *item = ingest_item_new(kind, NULL);

        if (!item)
                return -ENOMEM;
        DL_APPEND(*list, item);
        return 0;
}

static int parse_going_down(Parser *p, json_object *payload, AgentMessage *m)
{
        m->type = AGENT_MESSAGE_GOING_DOWN;
        if (json_get_bool(payload, "cancelled", &m->cancelled) == -EINVAL)
                return parse_refuse(p, -EBADMSG, "cancelled is not a boolean");
        return 0;
}

int agent_message_parse(const char *text, size_t n, AgentMessage *ret, char error[static AGENT_ERROR_MAX])
{
        _cleanup_(agent_message_done) AgentMessage m = { .type = AGENT_MESSAGE_ITEMS };
        _cleanup_json_ json_object *o = NULL;
        Parser p = { .error = error };
        json_object *payload;
        const char *type;
        int r;

        error[0] = '\0';
        r = json_parse(text, n, &o);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !json_object_is_type(o, json_type_object))
                return parse_refuse(&p, -EBADMSG, "not a JSON object");
        type = json_get_string(o, "type");
        if (!type)
                return parse_refuse(&p, -EBADMSG, "type is missing");
        payload = json_get_object(o, "payload");
        if (!payload)
                return parse_refuse(&p, -EBADMSG, "payload is not an object");

        if (streq(type, "auth")) {
                m.type = AGENT_MESSAGE_AUTH;
                r = parse_auth(&p, payload, &m);
        } else if (streq(type, "status_update"))
                r = parse_item(&p, payload, INGEST_RESULT, &m.items);
        else if (streq(type, "service_error"))
                r = parse_item(&p, payload, INGEST_ERROR, &m.items);
        else if (streq(type, "status_batch"))
                r = parse_batch(&p, payload, &m.items);
        else if (streq(type, "inventory"))
                r = parse_inventory(&p, payload, &m.items);
        else if (streq(type, "gap"))
                r = parse_gap(&p, payload, &m.items);
        else if (streq(type, "resume"))
                r = add_mark(INGEST_RESUME, &m.items);
        else if (streq(type, "live"))
                r = add_mark(INGEST_LIVE, &m.items);
        else if (streq(type, "going_down"))
                r = parse_going_down(&p, payload, &m);
        else if (streq(type, "rotate_key"))
                m.type = AGENT_MESSAGE_ROTATE_KEY;
        else
                m.type = AGENT_MESSAGE_UNKNOWN;
        if (r < 0)
                return r;
        *ret = m;
        m = (AgentMessage){};
        return 0;
}

void agent_message_done(AgentMessage *m)
{
        free(m->agent_id);
        free(m->api_key);
        free(m->version);
        free(m->hostname);
        free(m->boot_id);
        ingest_items_free(m->items);
        *m = (AgentMessage){};
}
