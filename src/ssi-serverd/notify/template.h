/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Texts with {{placeholders}}. There is nothing else in them: no conditions, no loops, no calls. A placeholder is
 * [a-z_]+ between the braces, with spaces around it as one likes. What is put in its place is escaped for where it
 * goes, so that it cannot end a string, whatever a script has printed. */

#include "shared/util.h"

#define TEMPLATE_MAX ((size_t) 16 * 1024)  /* bytes of a template */
#define RENDERED_MAX ((size_t) 256 * 1024) /* bytes of what it becomes */

typedef enum TemplateEscape {
        TEMPLATE_JSON,   /* inside a JSON string (RFC 8259) */
        TEMPLATE_MARKUP, /* the same, after & < > have become entities: Slack's text */
        TEMPLATE_URL,    /* percent-encoded (RFC 3986), for a path segment or a query */
} TemplateEscape;

/* The value of a placeholder, valid until the next call; NULL for one that there is not. */
typedef const char *(*template_lookup_t)(const char *name, void *userdata);

/* -EINVAL for a placeholder that there is not, or braces that do not close; then *ret_detail (may be NULL) is the part
 * of the template at fault, to be freed. -E2BIG when the result is larger than RENDERED_MAX, -ENOMEM. */
int template_render(const char *text, TemplateEscape escape, template_lookup_t lookup, void *userdata, char **ret,
                    char **ret_detail);
