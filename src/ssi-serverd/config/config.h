/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The settings in serverd.conf: one table of names, types, defaults and bounds (item.c). systemd passes the
 * file as environment variables, once, when the service starts; a reload reads the file here. See
 * ssi-serverd(8), ENVIRONMENT.
 *
 * An invalid value is logged together with what is valid, and unknown names are logged, too. At startup an
 * invalid value ends the program, unless the setting is reloadable; a reload keeps the old value. */

#include "config/quota.h"
#include "shared/util.h"

/* Strings are NULL when they are not set. */
typedef struct Config {
        char *database_url;        /* SSI_DATABASE_URL */
        char *database_read_url;   /* SSI_DATABASE_READ_URL */
        char *public_url;          /* SSI_PUBLIC_URL, without trailing slashes */
        char *tls_cert, *tls_key;  /* SSI_TLS_CERT, SSI_TLS_KEY */
        char *access_token_key;    /* SSI_ACCESS_TOKEN_KEY */
        char *push_key;            /* SSI_PUSH_KEY */
        char *metrics_token;       /* SSI_METRICS_TOKEN */
        char *smtp_url;            /* SSI_SMTP_URL */
        char *smtp_from, *smtp_ca; /* SSI_SMTP_FROM, SSI_SMTP_CA */
        char *migrations_dir;      /* SSI_MIGRATIONS_DIR */
        char *setup_code;          /* SSI_SETUP_CODE */

        unsigned history;             /* SSI_HISTORY, a ConfigHistory */
        unsigned history_days;        /* SSI_HISTORY_DAYS: whole days to keep */
        unsigned audit_days;          /* SSI_AUDIT_DAYS: whole days to keep */
        unsigned stale_grace_seconds; /* SSI_STALE_GRACE: how late a result may be before its service is
                                       * stale */
        unsigned reboot_seconds;      /* SSI_REBOOT_TIME: how long a host that announced a reboot may be
                                       * away */
        unsigned rate_limit;          /* SSI_RATE_LIMIT: requests per second and client; 0: unlimited */
        unsigned notify_timeout;      /* SSI_NOTIFY_TIMEOUT: seconds for one delivery */
        bool allow_private_targets;   /* SSI_ALLOW_PRIVATE_TARGETS */
        unsigned sign_up;             /* SSI_SIGN_UP, a ConfigSignUp */

        /* The reloadable ones. */
        unsigned log_level;         /* SSI_LOG_LEVEL, as syslog(3) */
        bool access_log;            /* SSI_ACCESS_LOG */
        char *trusted_proxies;      /* SSI_TRUSTED_PROXIES, as networks_parse() reads it */
        char *security_contact;     /* SSI_SECURITY_CONTACT */
        Quota quotas[_QUOTA_KINDS]; /* SSI_QUOTA_…: use config_quota() */

        uint64_t from_file; /* the settings that the file has set so far, as bits */
} Config;

typedef enum ConfigHistory {
        CONFIG_HISTORY_ALL,
        CONFIG_HISTORY_CHANGES,
} ConfigHistory;

/* Who may make an account. Where it is not set, the value kept in the database counts: model/sign-up.h. */
typedef enum ConfigSignUp {
        CONFIG_SIGN_UP_UNSET,
        CONFIG_SIGN_UP_CLOSED,
        CONFIG_SIGN_UP_INVITE,
        CONFIG_SIGN_UP_OPEN,
} ConfigSignUp;

/* Reads the environment, into which systemd has put the file's settings. -EINVAL when a value is invalid;
 * all problems are logged. */
int config_load(const char *path, Config *ret);
void config_done(Config *c);

/* The quota in force, also where it follows from other settings. */
Quota config_quota(const Config *c, QuotaKind kind);

/* Applies the file's reloadable settings, and logs which others differ from those in force. A setting that
 * is no longer in the file gets its default, as after a restart. Logs invalid values and keeps the old ones.
 * Returns a negative errno, and changes nothing, when the file cannot be read. */
int config_reload(const char *path, Config *c);

/* Prints the problems in the file with their lines, for people who edit it: invalid values, unknown names,
 * and files that cannot be read. Returns the number of problems, or a negative errno. A missing file has
 * none. */
int config_check(const char *path);
