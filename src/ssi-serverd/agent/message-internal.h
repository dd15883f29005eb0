/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by message.c and inventory.c: getters that refuse what is invalid, with a reason. */

#include "agent/message.h"
#include "shared/json-util.h"

#define ID_LENGTH_MAX     64
#define KEY_LENGTH_MAX    128
#define NAME_LENGTH_MAX   256
#define CURSOR_LENGTH_MAX 1024
#define DURATION_MAX      INT64_C(31622400000) /* ms: a year */

/* *error: AGENT_ERROR_MAX bytes, the reason for refusing the message. */
typedef struct Parser {
        char *error;
} Parser;

/* Writes the reason and returns r. */
int parse_refuse(Parser *p, int r, const char *format, ...) _printf_(3, 4);
bool parse_is_given(json_object *o, const char *key);
int parse_copy_text(Parser *p, json_object *o, const char *key, bool required, size_t max, char **ret);
int parse_get_slug(Parser *p, json_object *o, const char **ret);
int parse_get_time(Parser *p, json_object *o, const char *key, bool required, uint64_t *ret);
int parse_get_milliseconds(Parser *p, json_object *o, const char *key, int64_t *ret);

/* inventory.c */
int parse_inventory(Parser *p, json_object *payload, IngestItem **list);
