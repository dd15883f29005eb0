/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "shared/json-util.h"
#include "notify/template.h"

/* Up to the first NUL byte the input is a template, what follows is what its placeholder becomes. */

static const char *lookup(const char *name, void *userdata)
{
        return streq(name, "value") ? userdata : NULL;
}

/* Whatever the value holds, it stays inside its string. */
static void stays_inside(char *value, TemplateEscape escape)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_object *o = NULL;
        int r;

        r = template_render("{\"a\":\"{{value}}\",\"b\":7}", escape, lookup, value, &text, NULL);
        check(r == 0 || r == -E2BIG);
        if (r < 0 || !utf8_is_valid(value, strlen(value)))
                return;
        check(json_parse(text, strlen(text), &o) == 0 && json_object_object_length(o) == 2);
        if (escape == TEMPLATE_JSON)
                check(streq(json_get_string(o, "a"), value));
        else
                check(strcspn(json_get_string(o, "a"), "<>") == strlen(json_get_string(o, "a")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        const uint8_t *end = memchr(data, '\0', n);
        size_t n_template = end ? (size_t) (end - data) : n;
        _cleanup_free_ char *template = memdup_string((const char *) data, n_template), *value = NULL;

        value = end ? memdup_string((const char *) end + 1, n - n_template - 1) : strdup("");
        check(template && value);
        for (TemplateEscape escape = TEMPLATE_JSON; escape <= TEMPLATE_URL; escape++) {
                _cleanup_free_ char *text = NULL, *detail = NULL;
                int r = template_render(template, escape, lookup, value, &text, &detail);

                check(r == 0 || r == -EINVAL || r == -E2BIG);
                check((r == 0) == (text != NULL));
                check(!text || strlen(text) <= RENDERED_MAX);
                check(!detail || (r == -EINVAL && text_is_clean(detail)));
        }
        stays_inside(value, TEMPLATE_JSON);
        stays_inside(value, TEMPLATE_MARKUP);
        return 0;
}
