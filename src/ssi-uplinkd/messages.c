/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messages.h"
#include "shared/metadata.h"
#include "shared/slug.h"
#include "shared/status-line.h"

void service_info_done(ServiceInfo *s)
{
        free(s->slug);
        free(s->title);
        json_object_put(s->metadata);
        free(s->schedule);
        free(s->watches);
        free(s->depends_on);
        *s = (ServiceInfo){};
}

static int to_text(json_object *o, char **ret)
{
        const char *s;

        s = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        if (!s)
                return -ENOMEM;
        s = strdup(s);
        if (!s)
                return -ENOMEM;
        *ret = (char *) s;
        return 0;
}

/* Takes ownership of payload. */
static int wrap(const char *type, json_object *payload, char **ret)
{
        _cleanup_json_ json_object *o = NULL;
        int r;

        o = json_object_new_object();
        if (!o) {
                json_object_put(payload);
                return -ENOMEM;
        }
        r = json_add_string(o, "type", type);
        if (r < 0) {
                json_object_put(payload);
                return r;
        }
        r = json_add_take(o, "payload", payload);
        if (r < 0)
                return r;
        return to_text(o, ret);
}

static int add_time(json_object *o, const char *key, uint64_t usec)
{
        char buffer[RFC3339_MAX];

        return json_add_string(o, key, usec > 0 ? format_rfc3339(usec, buffer) : NULL);
}

int message_auth(const Credentials *c, const char *key, const char *hostname, const char *boot_id, char **ret)
{
        _cleanup_json_ json_object *p = NULL;
        int r;

        p = json_object_new_object();
        if (!p)
                return -ENOMEM;
        if ((r = json_add_string(p, "agent_id", c->agent_id)) < 0 || (r = json_add_string(p, "api_key", key)) < 0 ||
            (r = json_add_string(p, "version", SSI_VERSION)) < 0 ||
            (r = json_add_string(p, "hostname", hostname)) < 0 || (r = json_add_string(p, "boot_id", boot_id)) < 0)
                return r;
        return wrap("auth", TAKE_PTR(p), ret);
}

int message_claim(const char *claim_token, char **ret)
{
        _cleanup_json_ json_object *o = NULL;
        int r;

        o = json_object_new_object();
        if (!o)
                return -ENOMEM;
        r = json_add_string(o, "claim_token", claim_token);
        return r < 0 ? r : to_text(o, ret);
}

static int add_error(json_object *o, const RunEvent *e)
{
        _cleanup_json_ json_object *error = NULL;
        int r;

        error = json_object_new_object();
        if (!error)
                return -ENOMEM;
        if ((r = json_add_string(error, "kind", run_error_kind_to_string(e->error))) < 0 ||
            (r = json_add_string(error, "detail", e->detail)) < 0)
                return r;
        return json_add_take(o, "error", TAKE_PTR(error));
}

int message_item(const RunEvent *e, char **ret)
{
        _cleanup_json_ json_object *o = NULL;
        char id[SD_ID128_STRING_MAX];
        int r;

        o = json_object_new_object();
        if (!o)
                return -ENOMEM;
        if ((r = json_add_string(o, "service_name", e->slug)) < 0 || (r = add_time(o, "timestamp", e->timestamp)) < 0)
                return r;
        if (e->status >= 0) {
                r = json_add_string(o, "status", status_to_string(e->status));
                if (r >= 0)
                        r = json_add_string(o, "message", e->message);
        } else
                r = add_error(o, e);
        if (r >= 0)
                r = json_add_string(o, "cursor", e->cursor);
        if (r >= 0 && !sd_id128_is_null(e->invocation_id))
                r = json_add_string(o, "invocation_id", sd_id128_to_string(e->invocation_id, id));
        if (r >= 0 && e->duration != USEC_INFINITY)
                r = json_add_int64(o, "duration_ms", (int64_t) (e->duration / USEC_PER_MSEC));
        return r < 0 ? r : to_text(o, ret);
}

int message_gap(const char *cursor, uint64_t from, uint64_t to, char **ret)
{
        _cleanup_json_ json_object *p = NULL;
        int r;

        p = json_object_new_object();
        if (!p)
                return -ENOMEM;
        if ((r = json_add_string(p, "cursor", cursor)) < 0 || (r = add_time(p, "from", from)) < 0 ||
            (r = add_time(p, "to", to)) < 0)
                return r;
        return wrap("gap", TAKE_PTR(p), ret);
}

int message_mark(const char *type, char **ret)
{
        json_object *p = json_object_new_object();

        return p ? wrap(type, p, ret) : -ENOMEM;
}

int message_going_down(bool cancelled, char **ret)
{
        _cleanup_json_ json_object *p = NULL;
        int r;

        p = json_object_new_object();
        if (!p)
                return -ENOMEM;
        r = json_add_bool(p, "cancelled", cancelled);
        return r < 0 ? r : wrap("going_down", TAKE_PTR(p), ret);
}

/* How much an inventory tells about a service, from everything to the minimum. */
typedef enum Detail {
        DETAIL_ALL,
        DETAIL_SHORT_METADATA,
        DETAIL_NO_METADATA,
        DETAIL_NO_DEPENDENCIES,
} Detail;

/* Long enough for a version, too short for a description. */
#define SHORT_METADATA_MAX 64

static int add_metadata(json_object *o, json_object *metadata, Detail detail)
{
        _cleanup_json_ json_object *copy = NULL;

        if (!metadata || detail >= DETAIL_NO_METADATA)
                return 0;
        copy = json_object_new_object();
        if (!copy)
                return -ENOMEM;
        json_object_object_foreach(metadata, key, value)
        {
                if (detail == DETAIL_SHORT_METADATA && json_object_get_string_len(value) > SHORT_METADATA_MAX)
                        continue;
                if (json_add_take(copy, key, json_object_get(value)) < 0)
                        return -ENOMEM;
        }
        return json_add_take(o, "metadata", TAKE_PTR(copy));
}

/* Adds an array unless there are no words. Leaves out what the backend would refuse (docs/protocol.md): a header
 * that was edited by hand may contain anything. */
static int add_words(json_object *o, const char *key, const char *words, size_t max, size_t size)
{
        _cleanup_json_ json_object *array = NULL;
        const char *list = strempty(words), *word;
        size_t n, count = 0;

        array = json_object_new_array();
        if (!array)
                return -ENOMEM;
        while (count < max && (n = metadata_next_word(&list, &word)) > 0) {
                json_object *s;

                if (n > size)
                        continue;
                s = json_object_new_string_len(word, (int) n);
                if (!s || json_object_array_add(array, s) < 0) {
                        json_object_put(s);
                        return -ENOMEM;
                }
                count++;
        }
        return count > 0 ? json_add_take(o, key, TAKE_PTR(array)) : 0;
}

static int add_service(json_object *array, const ServiceInfo *s, Detail detail)
{
        _cleanup_json_ json_object *o = NULL;
        int r;

        o = json_object_new_object();
        if (!o)
                return -ENOMEM;
        if ((r = json_add_string(o, "service_name", s->slug)) < 0 || (r = json_add_string(o, "title", s->title)) < 0 ||
            (r = add_metadata(o, s->metadata, detail)) < 0 || (r = json_add_string(o, "schedule", s->schedule)) < 0 ||
            (r = json_add_int64(o, "timeout_ms", (int64_t) (s->timeout_usec / USEC_PER_MSEC))) < 0 ||
            (r = json_add_bool(o, "enabled", s->enabled)) < 0 || (r = add_time(o, "next_run", s->next_run)) < 0)
                return r;
        if (detail < DETAIL_NO_DEPENDENCIES &&
            ((r = add_words(o, "watches", s->watches, METADATA_WATCHES_MAX, UNIT_NAME_MAX)) < 0 ||
             (r = add_words(o, "depends_on", s->depends_on, DEPENDS_ON_MAX, SLUG_MAX)) < 0))
                return r;
        if (json_object_array_add(array, o) < 0)
                return -ENOMEM;
        TAKE_PTR(o);
        return 0;
}

static int build_inventory(const ServiceInfo *const *services, Detail detail, char **ret)
{
        _cleanup_json_ json_object *p = NULL, *array = NULL;
        int r;

        p = json_object_new_object();
        array = json_object_new_array();
        if (!p || !array)
                return -ENOMEM;
        for (; *services; services++) {
                r = add_service(array, *services, detail);
                if (r < 0)
                        return r;
        }
        r = json_add_take(p, "services", TAKE_PTR(array));
        return r < 0 ? r : wrap("inventory", TAKE_PTR(p), ret);
}

int message_inventory(const ServiceInfo *const *services, char **ret)
{
        int r;

        /* Thousands of services with long descriptions may exceed the backend's limit. */
        for (Detail detail = DETAIL_ALL;; detail++) {
                _cleanup_free_ char *text = NULL;

                r = build_inventory(services, detail, &text);
                if (r < 0)
                        return r;
                if (strlen(text) <= MESSAGE_MAX || detail == DETAIL_NO_DEPENDENCIES) {
                        *ret = TAKE_PTR(text);
                        return 0;
                }
        }
}
