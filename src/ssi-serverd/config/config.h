/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The settings of serverd.conf: one table of names, types, defaults and bounds (item.c). systemd hands the file over as environment
 * variables, once, when the service starts; a reload reads it here. See ssi-serverd(8), ENVIRONMENT.
 *
 * A value that does not fit is named in the journal with what would, and so is a name that is not in the table. At the start the
 * former ends the program; a reload keeps the old value. */

#include "shared/util.h"

/* Strings are NULL where nothing is set. */
typedef struct Config {
        char *database_url;        /* SSI_DATABASE_URL */
        char *public_url;          /* SSI_PUBLIC_URL, without slashes at its end */
        char *tls_cert, *tls_key;  /* SSI_TLS_CERT, SSI_TLS_KEY */
        char *access_token_key;    /* SSI_ACCESS_TOKEN_KEY */
        char *push_key;            /* SSI_PUSH_KEY */
        char *metrics_token;       /* SSI_METRICS_TOKEN */
        char *smtp_url;            /* SSI_SMTP_URL */
        char *smtp_from, *smtp_ca; /* SSI_SMTP_FROM, SSI_SMTP_CA */
        char *migrations_dir;      /* SSI_MIGRATIONS_DIR */

        unsigned history;             /* SSI_HISTORY, a ConfigHistory */
        unsigned history_days;        /* SSI_HISTORY_DAYS: whole days that the history goes back */
        unsigned stale_grace_seconds; /* SSI_STALE_GRACE: how late a result may come before its service is stale */
        unsigned reboot_seconds;      /* SSI_REBOOT_TIME: how long a host that has said that it goes down is waited for */
        unsigned rate_limit;          /* SSI_RATE_LIMIT: requests per second and client; 0: any number */
        unsigned notify_timeout;      /* SSI_NOTIFY_TIMEOUT: seconds for one delivery */
        bool allow_private_targets;   /* SSI_ALLOW_PRIVATE_TARGETS */

        /* These are reloadable. */
        unsigned log_level; /* SSI_LOG_LEVEL, as syslog(3) */
        bool access_log;    /* SSI_ACCESS_LOG */

        uint32_t from_file; /* which settings the file has named so far, as bits */
} Config;

typedef enum ConfigHistory {
        CONFIG_HISTORY_ALL,
        CONFIG_HISTORY_CHANGES,
} ConfigHistory;

/* From the environment, into which systemd has put what the file says. -EINVAL when a value does not fit: all of them are logged. */
int config_load(const char *path, Config *ret);
void config_done(Config *c);

/* Takes the reloadable settings from the file, and logs which others differ from what is in force. A setting that the file no longer
 * names has its default, as after a restart. Logs what does not fit, and leaves that as it was. A negative errno when the file cannot be
 * read; nothing changes then. */
int config_reload(const char *path, Config *c);

/* For people who edit the file: prints what is wrong in it, with the line: also names that are no settings, and files that cannot be read. The
 * number of problems, or a negative errno. A file that does not exist has none. */
int config_check(const char *path);
