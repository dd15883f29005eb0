/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Texts with {{placeholders}}, and nothing else: no conditions, no loops, no calls. A placeholder is [a-z_]+
 * between the braces, with optional spaces around it. Values are escaped for their context, so that whatever
 * a script has printed cannot end a string. */

#include "shared/util.h"

#define TEMPLATE_MAX ((size_t) 16 * 1024)  /* bytes of a template */
#define RENDERED_MAX ((size_t) 256 * 1024) /* bytes of the result */

typedef enum TemplateEscape {
        TEMPLATE_JSON,   /* inside a JSON string (RFC 8259) */
        TEMPLATE_MARKUP, /* the same, after & < > have become entities: Slack's text */
        TEMPLATE_URL,    /* percent-encoded (RFC 3986), for a path segment or a query */
} TemplateEscape;

/* The value of a placeholder, valid until the next call; NULL for an unknown one. */
typedef const char *(*template_lookup_t)(const char *name, void *userdata);

/* -EINVAL for an unknown placeholder or unclosed braces; then *ret_detail (may be NULL) is the wrong part of
 * the template, to be freed. -E2BIG when the result is larger than RENDERED_MAX, -ENOMEM. */
int template_render(const char *text, TemplateEscape escape, template_lookup_t lookup, void *userdata, char **ret,
                    char **ret_detail);
