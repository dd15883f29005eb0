/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of notify/channel*: the table of the types of channels. */

#include "notify/template.h"

typedef enum ValueKind {
        VALUE_TEXT,
        VALUE_TOKEN, /* masked */
        VALUE_URL,
        VALUE_SECRET_URL, /* masked after the host */
        VALUE_EMAIL,
        VALUE_METHOD,
        VALUE_HEADERS, /* masked */
        VALUE_TEMPLATE,
} ValueKind;

typedef struct ChannelValue {
        const char *name;
        ValueKind kind;
        bool required;
} ChannelValue;

typedef struct ChannelType {
        const char *name;
        const char *path; /* appended to the config's url; placeholders */
        const char *default_url;
        const char *method;
        const char *template; /* NULL: the config's, or the whole message as JSON */
        TemplateEscape escape;
        ChannelValue values[6];
} ChannelType;

/* NULL when there is none of that name. */
const ChannelType *channel_type_find(const char *name);
const ChannelValue *channel_value_find(const ChannelType *t, const char *name);
