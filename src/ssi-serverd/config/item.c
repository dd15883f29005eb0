/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <strings.h>

#include "config/item.h"
#include "shared/log.h"
#include "shared/network.h"

#define NUMBER_MAX 1000000U

#define ITEM(name_, type_, member, ...)                                                       \
        {                                                                                     \
                .name = name_, .type = type_, .offset = offsetof(Config, member), __VA_ARGS__ \
        }

#define QUOTA(kind, fallback_)                                                                                    \
        ITEM("SSI_QUOTA_" #kind, CONFIG_QUOTA, quotas[QUOTA_##kind], .fallback = (fallback_), .reloadable = true, \
             .shared = true)

const ConfigItem config_items[CONFIG_ITEMS] = {
        ITEM("SSI_DATABASE_URL", CONFIG_STRING, database_url,
             .fallback = "host=/run/ssi-postgres dbname=ssi user=ssi-server", .shared = true),
        ITEM("SSI_DATABASE_READ_URL", CONFIG_STRING, database_read_url),
        ITEM("SSI_PUBLIC_URL", CONFIG_URL, public_url, .shared = true),
        ITEM("SSI_TLS_CERT", CONFIG_FILE, tls_cert),
        ITEM("SSI_TLS_KEY", CONFIG_FILE, tls_key),
        ITEM("SSI_ACCESS_TOKEN_KEY", CONFIG_FILE, access_token_key),
        ITEM("SSI_PUSH_KEY", CONFIG_STRING, push_key),
        ITEM("SSI_METRICS_TOKEN", CONFIG_STRING, metrics_token, .shared = true),
        ITEM("SSI_SMTP_URL", CONFIG_SMTP, smtp_url, .shared = true),
        ITEM("SSI_SMTP_FROM", CONFIG_MAIL, smtp_from, .shared = true),
        ITEM("SSI_SMTP_CA", CONFIG_FILE, smtp_ca, .shared = true),
        ITEM("SSI_MIGRATIONS_DIR", CONFIG_STRING, migrations_dir, .fallback = SSI_MIGRATIONS_DIR),
        ITEM("SSI_HISTORY", CONFIG_CHOICE, history, .fallback = "all", .choices = "all\0changes\0", .shared = true),
        ITEM("SSI_HISTORY_DAYS", CONFIG_NUMBER, history_days, .fallback = "7", .min = 1, .max = 3650, .shared = true),
        ITEM("SSI_AUDIT_DAYS", CONFIG_NUMBER, audit_days, .fallback = "365", .min = 1, .max = 3650, .shared = true),
        ITEM("SSI_STALE_GRACE", CONFIG_NUMBER, stale_grace_seconds, .fallback = "120", .min = 1, .max = 86400,
             .shared = true),
        ITEM("SSI_REBOOT_TIME", CONFIG_NUMBER, reboot_seconds, .fallback = "600", .min = 1, .max = 86400,
             .shared = true),
        ITEM("SSI_RATE_LIMIT", CONFIG_NUMBER, rate_limit, .fallback = "100", .max = NUMBER_MAX, .shared = true),
        ITEM("SSI_NOTIFY_TIMEOUT", CONFIG_NUMBER, notify_timeout, .fallback = "20", .min = 1, .max = 300,
             .shared = true),
        ITEM("SSI_ALLOW_PRIVATE_TARGETS", CONFIG_BOOLEAN, allow_private_targets, .fallback = "no", .shared = true),
        ITEM("SSI_SETUP_CODE", CONFIG_CODE, setup_code, .min = 16),
        ITEM("SSI_SIGN_UP", CONFIG_CHOICE, sign_up, .fallback = "unset", .choices = "unset\0closed\0invite\0open\0",
             .shared = true),
        ITEM("SSI_SECURITY_CONTACT", CONFIG_CONTACT, security_contact, .reloadable = true, .shared = true),
        ITEM("SSI_TRUSTED_PROXIES", CONFIG_NETWORKS, trusted_proxies, .fallback = "127.0.0.0/8 ::1",
             .reloadable = true),
        ITEM("SSI_LOG_LEVEL", CONFIG_LEVEL, log_level, .fallback = "info", .reloadable = true),
        ITEM("SSI_ACCESS_LOG", CONFIG_BOOLEAN, access_log, .fallback = "no", .reloadable = true),
        QUOTA(SERVERS, "5000"),
        QUOTA(SERVICES, "100000"),
        QUOTA(RESULTS, "100000:2000000"),
        QUOTA(STORAGE, NULL),
        QUOTA(MAILS, "2000"),
        QUOTA(REQUESTS, "20000"),
        QUOTA(CHANNELS, "32"),
        QUOTA(BROWSERS, "20"),
        QUOTA(SILENCES, "500"),
        QUOTA(TOKENS, "100"),
        QUOTA(RECIPIENT, "2000"),
        QUOTA(ACCOUNT_MAILS, "5"),
};

const ConfigItem *config_item_find(const char *name)
{
        for (size_t i = 0; i < CONFIG_ITEMS; i++)
                if (streq(config_items[i].name, name))
                        return config_items + i;
        return NULL;
}

bool config_item_is_string(const ConfigItem *item)
{
        return item->type <= CONFIG_CODE;
}

char **config_item_string(const ConfigItem *item, Config *c)
{
        return (char **) ((char *) c + item->offset);
}

static unsigned *number_of(const ConfigItem *item, Config *c)
{
        return (unsigned *) ((char *) c + item->offset);
}

static bool *boolean_of(const ConfigItem *item, Config *c)
{
        return (bool *) ((char *) c + item->offset);
}

static Quota *quota_of(const ConfigItem *item, Config *c)
{
        return (Quota *) ((char *) c + item->offset);
}

QuotaKind config_item_quota(const ConfigItem *item)
{
        return (QuotaKind) ((item->offset - offsetof(Config, quotas)) / sizeof(Quota));
}

/* ---- Values ---- */

static bool parse_number(const ConfigItem *item, const char *s, unsigned *ret)
{
        unsigned v;

        if (parse_unsigned(s, item->max, &v) < 0 || v < item->min)
                return false;
        *ret = v;
        return true;
}

/* The spellings that systemd accepts. */
static bool parse_boolean(const char *s, bool *ret)
{
        static const char *const words[2][4] = { { "0", "no", "false", "off" }, { "1", "yes", "true", "on" } };

        for (size_t i = 0; i < 2; i++)
                for (size_t k = 0; k < ELEMENTSOF(words[i]); k++)
                        if (strcasecmp(s, words[i][k]) == 0) {
                                *ret = i == 1;
                                return true;
                        }
        return false;
}

static bool parse_choice(const ConfigItem *item, const char *s, unsigned *ret)
{
        unsigned n = 0;

        for (const char *c = item->choices; *c; c += strlen(c) + 1, n++)
                if (streq(s, c)) {
                        *ret = n;
                        return true;
                }
        return false;
}

static bool parse_level(const char *s, unsigned *ret)
{
        int level = log_level_from_string(s);

        if (level < 0)
                return false;
        *ret = (unsigned) level;
        return true;
}

static bool string_fits(const ConfigItem *item, const char *s)
{
        Networks networks;

        switch (item->type) {
        case CONFIG_FILE:
                return s[0] == '/';
        case CONFIG_URL:
                return startswith(s, "https://") || startswith(s, "http://");
        case CONFIG_SMTP:
                return startswith(s, "smtp://") || startswith(s, "smtps://");
        case CONFIG_MAIL:
                return strchr(s, '@') && !strpbrk(s, "\r\n");
        case CONFIG_NETWORKS:
                return networks_parse(s, &networks) >= 0;
        case CONFIG_CONTACT:
                return (startswith(s, "mailto:") || startswith(s, "https://")) && !strpbrk(s, "\r\n\t ");
        case CONFIG_CODE:
                return strlen(s) >= item->min && !strpbrk(s, "\r\n\t ");
        default:
                return true;
        }
}

static int set_string(const ConfigItem *item, Config *c, const char *s)
{
        size_t n = strlen(s);
        char *copy;

        while (item->type == CONFIG_URL && n > 0 && s[n - 1] == '/')
                n--;
        copy = n > 0 ? memdup_string(s, n) : NULL;
        if (n > 0 && !copy)
                return -ENOMEM;
        free(*config_item_string(item, c));
        *config_item_string(item, c) = copy;
        return 0;
}

static bool parse_quota(const ConfigItem *item, const char *s, Quota *ret)
{
        if (!isempty(s))
                return quota_parse(config_item_quota(item), s, ret) >= 0;
        *ret = (Quota){ .automatic = true };
        return true;
}

int config_item_set(const ConfigItem *item, Config *c, const char *text)
{
        const char *s = isempty(text) ? strempty(item->fallback) : text;
        bool fits = true;

        if (config_item_is_string(item))
                return isempty(s) || string_fits(item, s) ? set_string(item, c, s) : -EINVAL;
        if (item->type == CONFIG_NUMBER)
                fits = parse_number(item, s, number_of(item, c));
        else if (item->type == CONFIG_BOOLEAN)
                fits = parse_boolean(s, boolean_of(item, c));
        else if (item->type == CONFIG_CHOICE)
                fits = parse_choice(item, s, number_of(item, c));
        else if (item->type == CONFIG_QUOTA)
                fits = parse_quota(item, s, quota_of(item, c));
        else
                fits = parse_level(s, number_of(item, c));
        return fits ? 0 : -EINVAL;
}

bool config_item_is_same(const ConfigItem *item, Config *a, Config *b)
{
        if (config_item_is_string(item))
                return streq_ptr(*config_item_string(item, a), *config_item_string(item, b));
        if (item->type == CONFIG_BOOLEAN)
                return *boolean_of(item, a) == *boolean_of(item, b);
        if (item->type == CONFIG_QUOTA)
                return quota_of(item, a)->value == quota_of(item, b)->value &&
                       quota_of(item, a)->burst == quota_of(item, b)->burst &&
                       quota_of(item, a)->automatic == quota_of(item, b)->automatic;
        return *number_of(item, a) == *number_of(item, b);
}
