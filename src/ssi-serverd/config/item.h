/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The table of settings: their names, types and bounds, and where their values are stored. */

#include "config/config.h"

#define CONFIG_ITEMS 38

typedef enum ConfigType {
        CONFIG_STRING,
        CONFIG_FILE, /* an absolute path */
        CONFIG_URL,  /* http:// or https:// */
        CONFIG_SMTP, /* smtp:// or smtps:// */
        CONFIG_MAIL, /* an address, perhaps with a name */
        CONFIG_NETWORKS,
        CONFIG_CONTACT, /* mailto: or https:// */
        CONFIG_CODE,    /* a secret, long enough not to be guessed */
        CONFIG_NUMBER,
        CONFIG_BOOLEAN,
        CONFIG_CHOICE,
        CONFIG_LEVEL,
        CONFIG_QUOTA,
} ConfigType;

typedef struct ConfigItem {
        const char *name;
        ConfigType type;
        size_t offset;        /* in Config */
        const char *fallback; /* as written in the file; NULL for none */
        unsigned min, max;    /* of a number; the least length of a code */
        const char *choices;  /* of a choice: "a" or "b"… in the order of their numbers, NUL-separated,
                               * ending with an empty one */
        bool reloadable;
        bool shared; /* all instances must have the same value */
} ConfigItem;

extern const ConfigItem config_items[CONFIG_ITEMS];

/* NULL when no setting has that name. */
const ConfigItem *config_item_find(const char *name);

QuotaKind config_item_quota(const ConfigItem *item); /* of a CONFIG_QUOTA */

bool config_item_is_string(const ConfigItem *item);
char **config_item_string(const ConfigItem *item, Config *c);

/* Stores the value that text spells; NULL or an empty text sets the default. -EINVAL when it is invalid. */
int config_item_set(const ConfigItem *item, Config *c, const char *text);
bool config_item_is_same(const ConfigItem *item, Config *a, Config *b);
