/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notify/channel-type.h"
#include "notify/channel.h"

/* The secrets in the channels' configs: what is shown of them, and what becomes of them when a config changes. */

/* "https://host/••••"; a long token keeps its last four characters. The caller frees it. */
static char *mask_string(ValueKind kind, const char *s)
{
        size_t n = strlen(s), keep = 0;
        char *masked;

        if (kind == VALUE_SECRET_URL) {
                const char *host = strstr(s, "://") + 3;

                keep = (size_t) (host - s) + strcspn(host, "/?#");
                return asprintf(&masked, "%.*s/%s", (int) keep, s, CHANNEL_MASK) < 0 ? NULL : masked;
        }
        return asprintf(&masked, "%s%s", CHANNEL_MASK, n >= 16 ? s + n - 4 : "") < 0 ? NULL : masked;
}

static int mask_headers(json_object *headers, json_object **ret)
{
        _cleanup_json_ json_object *masked = json_object_new_object();

        if (!masked)
                return -ENOMEM;
        json_object_object_foreach(headers, name, value)
        {
                (void) value;
                if (json_add_string(masked, name, CHANNEL_MASK) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(masked);
        return 0;
}

int channel_config_mask(const char *type, json_object *config, json_object **ret)
{
        _cleanup_json_ json_object *masked = json_object_new_object();
        const ChannelType *t = channel_type_find(type);
        int r;

        if (!masked)
                return -ENOMEM;
        json_object_object_foreach(config, name, value)
        {
                const ChannelValue *v = t ? channel_value_find(t, name) : NULL;
                _cleanup_free_ char *s = NULL;
                json_object *o = NULL;

                if (!v)
                        continue;
                if (v->kind == VALUE_HEADERS) {
                        r = mask_headers(value, &o);
                        if (r < 0)
                                return r;
                } else if (v->kind == VALUE_TOKEN || v->kind == VALUE_SECRET_URL) {
                        s = mask_string(v->kind, json_object_get_string(value));
                        o = s ? json_object_new_string(s) : NULL;
                } else
                        o = json_object_get(value);
                r = json_add_take(masked, name, o);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(masked);
        return 0;
}

static bool is_masked(json_object *value)
{
        if (json_object_is_type(value, json_type_string))
                return strstr(json_object_get_string(value), CHANNEL_MASK);
        return false;
}

static bool is_secret(ValueKind kind)
{
        return kind == VALUE_TOKEN || kind == VALUE_HEADERS;
}

static bool is_address(ValueKind kind)
{
        return kind == VALUE_URL || kind == VALUE_SECRET_URL;
}

/* Whether the change sends the channel's messages, and with them its secrets, somewhere else. */
static bool address_changes(const ChannelType *t, json_object *old, json_object *change)
{
        for (size_t i = 0; i < ELEMENTSOF(t->values) && t->values[i].name; i++) {
                json_object *value;

                if (!is_address(t->values[i].kind) || !json_object_object_get_ex(change, t->values[i].name, &value) ||
                    is_masked(value))
                        continue;
                if (!streq(json_get_string(old, t->values[i].name) ?: strempty(t->default_url),
                           json_get_string(change, t->values[i].name) ?: strempty(t->default_url)))
                        return true;
        }
        return false;
}

/* Whether a header field of the value keeps what it was. */
static bool has_masked_header(json_object *value)
{
        if (!json_object_is_type(value, json_type_object))
                return false;
        json_object_object_foreach(value, field, text)
        {
                (void) field;
                if (is_masked(text))
                        return true;
        }
        return false;
}

const char *channel_config_lost_secret(const char *type, json_object *old, json_object *change)
{
        const ChannelType *t = channel_type_find(type);

        if (!t || !address_changes(t, old, change))
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(t->values) && t->values[i].name; i++) {
                const char *name = t->values[i].name;
                json_object *value = NULL;

                if (!is_secret(t->values[i].kind) || !json_object_object_get_ex(old, name, NULL))
                        continue;
                if (!json_object_object_get_ex(change, name, &value) || is_masked(value) || has_masked_header(value))
                        return name;
        }
        return NULL;
}

/* Copies what a change is merged into. */
static int merge_base(const char *type, json_object *old, json_object *change, json_object **ret)
{
        const ChannelType *t = channel_type_find(type);
        json_object *base = NULL;

        if (json_object_deep_copy(old, &base, NULL) < 0)
                return -ENOMEM;
        if (t && address_changes(t, old, change))
                for (size_t i = 0; i < ELEMENTSOF(t->values) && t->values[i].name; i++)
                        if (is_secret(t->values[i].kind))
                                json_object_object_del(base, t->values[i].name);
        *ret = base;
        return 0;
}

/* Header fields are merged one by one, but those that the change does not name are removed. */
static int merge_headers(json_object *before, json_object *value, json_object **ret)
{
        _cleanup_json_ json_object *copy = json_object_new_object();

        if (!copy)
                return -ENOMEM;
        json_object_object_foreach(value, field, text)
        {
                json_object *kept = NULL;

                if (is_masked(text)) {
                        (void) json_object_object_get_ex(before, field, &kept);
                        if (!kept)
                                continue;
                }
                if (json_add_take(copy, field, json_object_get(kept ?: text)) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

int channel_config_merge(const char *type, json_object *old, json_object *change, json_object **ret)
{
        json_object *merged = NULL;
        int r;

        r = merge_base(type, old, change, &merged);
        if (r < 0)
                return r;
        json_object_object_foreach(change, name, value)
        {
                json_object *before = NULL, *copy = NULL;

                (void) json_object_object_get_ex(merged, name, &before);
                if (!value) {
                        json_object_object_del(merged, name);
                        continue;
                }
                if (is_masked(value)) /* even without an old value: a mask is never one itself */
                        continue;
                r = 0;
                if (json_object_is_type(value, json_type_object))
                        r = merge_headers(before, value, &copy);
                else
                        copy = json_object_get(value);
                if (r >= 0)
                        r = json_add_take(merged, name, copy);
                if (r < 0) {
                        json_object_put(merged);
                        return r;
                }
        }
        *ret = merged;
        return 0;
}
