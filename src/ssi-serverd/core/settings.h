/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What serverd.conf sets of the backend's behaviour, from the environment. */

#include <stdbool.h>
#include <stdint.h>

typedef struct IngestSettings {
        bool history_changes_only; /* else every result is in the history */
        unsigned grace_seconds;    /* how late a result may come before its service is stale */
        uint64_t refresh_usec;     /* results that say nothing new are written so often at most; a quarter of the grace,
                                    * so that the times in the database are never that old */
} IngestSettings;

typedef struct Settings {
        IngestSettings ingest;      /* SSI_HISTORY, SSI_STALE_GRACE */
        unsigned history_days;      /* SSI_HISTORY_DAYS: whole days that the history goes back */
        unsigned reboot_seconds;    /* SSI_REBOOT_TIME: how long a host that said that it goes down is waited for */
        unsigned rate_limit;        /* SSI_RATE_LIMIT: requests per second and client; 0: any number */
        const char *metrics_token;  /* SSI_METRICS_TOKEN, or NULL; borrowed from the environment */
} Settings;

/* -EINVAL when a value is out of range, and logs which. */
int settings_load(Settings *ret);
