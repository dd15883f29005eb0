/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "shared/json-util.h"

#define DEPTH_MAX 64

/* A reader of RFC 8259 that does nothing but say yes or no, to hold json_parse() against. */
typedef struct Reader {
        const char *p, *end;
} Reader;

static bool read_value(Reader *r, unsigned depth);

static void skip_space(Reader *r)
{
        while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r' || *r->p == '\n'))
                r->p++;
}

static bool take(Reader *r, char c)
{
        if (r->p == r->end || *r->p != c)
                return false;
        r->p++;
        return true;
}

static bool take_word(Reader *r, const char *word)
{
        size_t n = strlen(word);

        if ((size_t) (r->end - r->p) < n || memcmp(r->p, word, n) != 0)
                return false;
        r->p += n;
        return true;
}

static bool is_digit(const Reader *r)
{
        return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

static bool take_digits(Reader *r)
{
        if (!is_digit(r))
                return false;
        while (is_digit(r))
                r->p++;
        return true;
}

static bool read_number(Reader *r)
{
        (void) take(r, '-');
        if (!take(r, '0') && !take_digits(r))
                return false;
        if (take(r, '.') && !take_digits(r))
                return false;
        if (take(r, 'e') || take(r, 'E')) {
                if (!take(r, '+'))
                        (void) take(r, '-');
                return take_digits(r);
        }
        return true;
}

static bool read_string(Reader *r)
{
        if (!take(r, '"'))
                return false;
        while (r->p < r->end) {
                char c = *r->p++;

                if (c == '"')
                        return true;
                if ((unsigned char) c < 0x20)
                        return false;
                if (c != '\\')
                        continue;
                if (take(r, 'u')) {
                        for (unsigned i = 0; i < 4; i++, r->p++)
                                if (r->p == r->end || !strchr("0123456789abcdefABCDEF", *r->p) || *r->p == '\0')
                                        return false;
                } else if (r->p == r->end || *r->p == '\0' || !strchr("\"\\/bfnrt", *r->p++))
                        return false;
        }
        return false;
}

static bool read_members(Reader *r, unsigned depth, bool object, char closing)
{
        r->p++;
        skip_space(r);
        if (take(r, closing))
                return true;
        do {
                skip_space(r);
                if (object) {
                        if (!read_string(r))
                                return false;
                        skip_space(r);
                        if (!take(r, ':'))
                                return false;
                }
                if (!read_value(r, depth + 1))
                        return false;
                skip_space(r);
        } while (take(r, ','));
        return take(r, closing);
}

static bool read_value(Reader *r, unsigned depth)
{
        skip_space(r);
        if (r->p == r->end || depth > DEPTH_MAX)
                return false;
        switch (*r->p) {
        case '{':
                return read_members(r, depth, true, '}');
        case '[':
                return read_members(r, depth, false, ']');
        case '"':
                return read_string(r);
        case 't':
                return take_word(r, "true");
        case 'f':
                return take_word(r, "false");
        case 'n':
                return take_word(r, "null");
        default:
                return read_number(r);
        }
}

static bool is_json(const char *s, size_t n)
{
        Reader r = { .p = s, .end = s + n };

        if (!read_value(&r, 0))
                return false;
        skip_space(&r);
        return r.p == r.end;
}

/* Asks for everything by every getter; the depth that was let in. */
static unsigned walk(json_object *o)
{
        unsigned depth = 0;

        if (json_object_is_type(o, json_type_object)) {
                json_object_object_foreach(o, key, value)
                {
                        const char *s = json_get_string(o, key);
                        int64_t i;
                        bool b;

                        check(!s || utf8_is_valid(s, strlen(s)));
                        check(!s || json_object_is_type(value, json_type_string));
                        check((json_get_int64(o, key, &i) == 0) == json_object_is_type(value, json_type_int));
                        check((json_get_bool(o, key, &b) == 0) == json_object_is_type(value, json_type_boolean));
                        check(!json_get_array(o, key) || json_object_is_type(value, json_type_array));
                        check(!json_get_object(o, key) || json_object_is_type(value, json_type_object));
                        depth = MAX(depth, walk(value));
                }
        } else if (json_object_is_type(o, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(o); i++)
                        depth = MAX(depth, walk(json_object_array_get_idx(o, i)));
        } else
                return 0;
        return depth + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_json_ json_object *o = NULL, *again = NULL;
        const char *text;
        size_t length;
        int r;

        r = json_parse((const char *) data, n, &o);
        check(r == 0 || r == -EBADMSG);
        if (r < 0) {
                check(!o);
                return 0;
        }
        check(is_json((const char *) data, n));
        check(walk(o) <= 16);

        /* What was read can be written, and read again. */
        text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &length);
        check(text && json_parse(text, length, &again) == 0);
        return 0;
}
