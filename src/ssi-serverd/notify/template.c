/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notify/template.h"

#define PLACEHOLDER_MAX 32

typedef struct Output {
        char *text;
        size_t n, allocated;
        int error;
} Output;

static void put(Output *o, const char *s, size_t n)
{
        if (o->error < 0)
                return;
        if (o->n + n > RENDERED_MAX) {
                o->error = -E2BIG;
                return;
        }
        if (o->n + n >= o->allocated) {
                size_t want = MAX(o->allocated * 2, o->n + n + 256);
                char *p = realloc(o->text, want);

                if (!p) {
                        o->error = -ENOMEM;
                        return;
                }
                o->text = p;
                o->allocated = want;
        }
        memcpy(o->text + o->n, s, n);
        o->n += n;
}

static void put_string(Output *o, const char *s)
{
        put(o, s, strlen(s));
}

static void put_json(Output *o, char c)
{
        char buf[8];

        switch (c) {
        case '"':
        case '\\':
                buf[0] = '\\';
                buf[1] = c;
                put(o, buf, 2);
                break;
        case '\n':
                put(o, "\\n", 2);
                break;
        default:
                if ((unsigned char) c >= 0x20 && c != 0x7f) {
                        put(o, &c, 1);
                        break;
                }
                snprintf(buf, sizeof(buf), "\\u%04x", (unsigned char) c);
                put_string(o, buf);
        }
}

static void put_markup(Output *o, char c)
{
        switch (c) {
        case '&':
                put_string(o, "&amp;");
                break;
        case '<':
                put_string(o, "&lt;");
                break;
        case '>':
                put_string(o, "&gt;");
                break;
        default:
                put_json(o, c);
        }
}

static void put_url(Output *o, char c)
{
        char buf[4];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c != '\0' && strchr("-._~", c))) {
                put(o, &c, 1);
                return;
        }
        snprintf(buf, sizeof(buf), "%%%02X", (unsigned char) c);
        put_string(o, buf);
}

static void put_value(Output *o, const char *value, TemplateEscape escape)
{
        static void (*const escapes[])(Output * o, char c) = {
                [TEMPLATE_JSON] = put_json,
                [TEMPLATE_MARKUP] = put_markup,
                [TEMPLATE_URL] = put_url,
        };

        for (; *value && o->error == 0; value++)
                escapes[escape](o, *value);
}

/* Parses the name of the placeholder whose braces open at s; returns what follows the closing ones, or
 * NULL. */
static const char *parse_placeholder(const char *s, char name[static PLACEHOLDER_MAX + 1])
{
        size_t n;

        s += 2;
        s += strspn(s, " ");
        n = strspn(s, "abcdefghijklmnopqrstuvwxyz_");
        if (n == 0 || n > PLACEHOLDER_MAX)
                return NULL;
        memcpy(name, s, n);
        name[n] = '\0';
        s += n;
        s += strspn(s, " ");
        return startswith(s, "}}");
}

/* Copies at most 40 bytes, whole characters only. */
static int detail(const char *s, char **ret_detail)
{
        if (ret_detail)
                *ret_detail = utf8_sanitize(s, strnlen(s, 40), 40, NULL);
        return -EINVAL;
}

int template_render(const char *text, TemplateEscape escape, template_lookup_t lookup, void *userdata, char **ret,
                    char **ret_detail)
{
        Output o = {};

        while (*text && o.error == 0) {
                const char *open = strstr(text, "{{"), *next, *value;
                char name[PLACEHOLDER_MAX + 1];

                if (!open) {
                        put_string(&o, text);
                        break;
                }
                put(&o, text, (size_t) (open - text));
                next = parse_placeholder(open, name);
                value = next ? lookup(name, userdata) : NULL;
                if (value) {
                        put_value(&o, value, escape);
                        text = next;
                } else
                        o.error = detail(open, ret_detail);
        }
        put(&o, "", 1);
        if (o.error < 0) {
                free(o.text);
                return o.error;
        }
        *ret = o.text;
        return 0;
}
