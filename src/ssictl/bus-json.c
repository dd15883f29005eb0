/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-json.h"

static int read_basic(sd_bus_message *m, char type, json_object **ret)
{
        union {
                const char *s;
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
        } v;
        json_object *o;
        int r;

        if (!strchr("sogybnqiuxtd", type))
                return -EOPNOTSUPP;
        r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        if (type == 't' && v.t == USEC_INFINITY) {
                *ret = NULL;
                return 0;
        }
        switch (type) {
        case 'y':
                o = json_object_new_int(v.y);
                break;
        case 'b':
                o = json_object_new_boolean(v.b);
                break;
        case 'n':
                o = json_object_new_int(v.n);
                break;
        case 'q':
                o = json_object_new_int(v.q);
                break;
        case 'i':
                o = json_object_new_int(v.i);
                break;
        case 'u':
                o = json_object_new_int64(v.u);
                break;
        case 'x':
                o = json_object_new_int64(v.x);
                break;
        case 't':
                o = json_object_new_uint64(v.t);
                break;
        case 'd':
                o = json_object_new_double(v.d);
                break;
        default:
                o = json_object_new_string(v.s);
        }
        if (!o)
                return -ENOMEM;
        *ret = o;
        return 0;
}

/* Reads the entries of a dictionary that has been entered. */
static int read_entries(sd_bus_message *m, const char *types, json_object *o)
{
        int r;

        while ((r = sd_bus_message_enter_container(m, 'e', types)) > 0) {
                _cleanup_json_ json_object *key = NULL, *value = NULL;

                if ((r = bus_read_json(m, &key)) < 0 || (r = bus_read_json(m, &value)) < 0)
                        return r;
                /* Not json_add_take(), because a value may be null here. */
                if (json_object_object_add(o, json_object_get_string(key), value) < 0)
                        return -ENOMEM;
                TAKE_PTR(value);
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_members(sd_bus_message *m, json_object *o)
{
        while (!sd_bus_message_at_end(m, false)) {
                json_object *value = NULL;
                int r;

                r = bus_read_json(m, &value);
                if (r < 0)
                        return r;
                if (json_object_array_add(o, value) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }
        return 0;
}

int bus_read_json(sd_bus_message *m, json_object **ret)
{
        _cleanup_json_ json_object *o = NULL;
        _cleanup_free_ char *entry = NULL;
        const char *contents;
        bool dictionary;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -ENXIO;
        if (type != 'a' && type != 'v' && type != 'r')
                return read_basic(m, type, ret);

        dictionary = type == 'a' && contents[0] == '{';
        if (dictionary && !(entry = strndup(contents + 1, strlen(contents) - 2)))
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        if (type == 'v')
                r = bus_read_json(m, &o);
        else if (!(o = dictionary ? json_object_new_object() : json_object_new_array()))
                r = -ENOMEM;
        else
                r = dictionary ? read_entries(m, entry, o) : read_members(m, o);
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

int bus_read_json_dictionary(sd_bus_message *m, json_object **ret)
{
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        return r > 0 && type == 'a' && streq(contents, "{sv}") ? bus_read_json(m, ret) : -EBADMSG;
}

static char *scalar_to_text(json_object *o)
{
        switch (json_object_get_type(o)) {
        case json_type_null:
                return strdup("infinity");
        case json_type_boolean:
                return strdup(json_object_get_boolean(o) ? "yes" : "no");
        case json_type_string:
                return strdup(json_object_get_string(o));
        default:
                return strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE));
        }
}

char *json_to_plain_text(json_object *o)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f;

        if (!json_object_is_type(o, json_type_array))
                return scalar_to_text(o);
        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        for (size_t i = 0; i < json_object_array_length(o); i++) {
                _cleanup_free_ char *item = scalar_to_text(json_object_array_get_idx(o, i));

                fprintf(f, "%s%s", i > 0 ? " " : "", strempty(item));
        }
        return fclose(f) == 0 ? TAKE_PTR(text) : NULL;
}
