/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/json-util.h"

#define JSON_DEPTH_MAX 16

static inline void json_tokener_freep(json_tokener **t)
{
        if (*t)
                json_tokener_free(*t);
}

/* The following functions return the end of what they skip, or NULL. */

static const char *skip_word(const char *s, const char *end, const char *word)
{
        size_t n = strlen(word);

        return (size_t) (end - s) >= n && memcmp(s, word, n) == 0 ? s + n : NULL;
}

static const char *skip_string(const char *s, const char *end)
{
        for (s++; s < end && (unsigned char) *s >= 0x20; s++) {
                if (*s == '"')
                        return s + 1;
                if (*s == '\\' && ++s == end)
                        return NULL;
        }
        return NULL;
}

static const char *skip_digits(const char *s, const char *end)
{
        const char *first = s;

        while (s < end && *s >= '0' && *s <= '9')
                s++;
        return s > first ? s : NULL;
}

static const char *skip_number(const char *s, const char *end)
{
        if (*s == '-')
                s++;
        if (end - s >= 2 && s[0] == '0' && s[1] >= '0' && s[1] <= '9')
                return NULL;
        s = skip_digits(s, end);
        if (s && s < end && *s == '.')
                s = skip_digits(s + 1, end);
        if (s && s < end && (*s == 'e' || *s == 'E')) {
                s++;
                if (s < end && (*s == '+' || *s == '-'))
                        s++;
                s = skip_digits(s, end);
        }
        return s;
}

static const char *skip_token(const char *s, const char *end)
{
        switch (*s) {
        case ' ':
        case '\t':
        case '\r':
        case '\n':
        case '{':
        case '}':
        case '[':
        case ']':
        case ',':
        case ':':
                return s + 1;
        case '"':
                return skip_string(s, end);
        case 't':
                return skip_word(s, end, "true");
        case 'f':
                return skip_word(s, end, "false");
        case 'n':
                return skip_word(s, end, "null");
        default:
                return skip_number(s, end);
        }
}

/* This checks the tokens; json-c checks how they are combined. json-c's strict mode does not help: it accepts single
 * quotes, NaN, "1.", "01.5", control characters in strings and trailing NUL bytes, and in json-c 0.18 it accepts
 * only ASCII in strings. Without strict mode, json-c accepts a comma before the end of an array or object, so this
 * refuses it. */
static bool tokens_are_valid(const char *s, size_t n)
{
        const char *end = s + n;
        char last = '\0';

        for (; s && s < end; last = strchr(" \t\r\n", *s) ? last : *s, s = skip_token(s, end))
                if (last == ',' && (*s == ']' || *s == '}'))
                        return false;
        return s;
}

int json_parse(const char *s, size_t n, json_object **ret)
{
        _cleanup_(json_tokener_freep) json_tokener *t = NULL;
        _cleanup_json_ json_object *o = NULL;
        size_t end;

        if (n > INT32_MAX || !utf8_is_valid(s, n) || !tokens_are_valid(s, n))
                return -EBADMSG;
        t = json_tokener_new_ex(JSON_DEPTH_MAX);
        if (!t)
                return -ENOMEM;
        o = json_tokener_parse_ex(t, s, (int) n);
        end = json_tokener_get_parse_end(t);

        /* A number at the very end is incomplete until the tokener is told that nothing follows. */
        if (!o && json_tokener_get_error(t) == json_tokener_continue)
                o = json_tokener_parse_ex(t, "", -1);
        if (json_tokener_get_error(t) != json_tokener_success)
                return -EBADMSG;
        for (size_t i = end; i < n; i++)
                if (!strchr(" \t\r\n", s[i]))
                        return -EBADMSG;
        *ret = TAKE_PTR(o);
        return 0;
}

const char *json_get_string(json_object *o, const char *key)
{
        json_object *v;
        const char *s;

        if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) ||
            !json_object_is_type(v, json_type_string))
                return NULL;
        s = json_object_get_string(v);
        return strlen(s) == (size_t) json_object_get_string_len(v) ? s : NULL;
}

static int json_get_typed(json_object *o, const char *key, enum json_type type, json_object **ret)
{
        json_object *v;

        if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) || !v)
                return -ENOENT;
        if (!json_object_is_type(v, type))
                return -EINVAL;
        *ret = v;
        return 0;
}

int json_get_int64(json_object *o, const char *key, int64_t *ret)
{
        json_object *v;
        int r;

        r = json_get_typed(o, key, json_type_int, &v);
        if (r < 0)
                return r;
        *ret = json_object_get_int64(v);
        return 0;
}

int json_get_bool(json_object *o, const char *key, bool *ret)
{
        json_object *v;
        int r;

        r = json_get_typed(o, key, json_type_boolean, &v);
        if (r < 0)
                return r;
        *ret = json_object_get_boolean(v);
        return 0;
}

json_object *json_get_array(json_object *o, const char *key)
{
        json_object *v;

        return json_get_typed(o, key, json_type_array, &v) < 0 ? NULL : v;
}

json_object *json_get_object(json_object *o, const char *key)
{
        json_object *v;

        return json_get_typed(o, key, json_type_object, &v) < 0 ? NULL : v;
}

int json_add_take(json_object *o, const char *key, json_object *value)
{
        if (!value)
                return -ENOMEM;
        if (json_object_object_add(o, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

int json_add_string(json_object *o, const char *key, const char *value)
{
        if (!value)
                return json_object_object_add(o, key, NULL) < 0 ? -ENOMEM : 0;
        return json_add_take(o, key, json_object_new_string(value));
}

int json_add_int64(json_object *o, const char *key, int64_t value)
{
        return json_add_take(o, key, json_object_new_int64(value));
}

int json_add_bool(json_object *o, const char *key, bool value)
{
        return json_add_take(o, key, json_object_new_boolean(value));
}
