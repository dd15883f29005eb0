/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small helpers for json-c. Getters return borrowed values. */

#include <json-c/json.h>

#include "shared/util.h"

static inline void json_object_putp(json_object **o)
{
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_object_putp)

/* Parses exactly n bytes as one JSON text (RFC 8259), strictly: UTF-8, no trailing bytes, at most 16 levels.
 * -EBADMSG if they are not one, -ENOMEM. */
int json_parse(const char *s, size_t n, json_object **ret);

/* The string at key, or NULL if it is absent, not a string, or contains a NUL byte. Lives as long as o. */
const char *json_get_string(json_object *o, const char *key);

/* 0 with the value; -ENOENT if absent or null; -EINVAL if of another type. */
int json_get_int64(json_object *o, const char *key, int64_t *ret);
int json_get_bool(json_object *o, const char *key, bool *ret);

/* The array or object at key, or NULL if absent or of another type. */
json_object *json_get_array(json_object *o, const char *key);
json_object *json_get_object(json_object *o, const char *key);

/* Adds a member; a NULL string adds null. -ENOMEM. */
int json_add_string(json_object *o, const char *key, const char *value);
int json_add_int64(json_object *o, const char *key, int64_t value);
int json_add_bool(json_object *o, const char *key, bool value);
/* Takes ownership of value, also on failure. */
int json_add_take(json_object *o, const char *key, json_object *value);
