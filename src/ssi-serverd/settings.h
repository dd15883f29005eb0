/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What serverd.conf sets of the backend's behaviour, from the environment. */

#include "ingest.h"

typedef struct Settings {
        IngestSettings ingest;      /* SSI_HISTORY, SSI_STALE_GRACE */
        unsigned history_days;      /* SSI_HISTORY_DAYS: whole days that the history goes back */
        unsigned reboot_seconds;    /* SSI_REBOOT_TIME: how long a host that said that it goes down is waited for */
        unsigned rate_limit;        /* SSI_RATE_LIMIT: requests per second and client; 0: any number */
        const char *metrics_token;  /* SSI_METRICS_TOKEN, or NULL; borrowed from the environment */
} Settings;

/* -EINVAL when a value is out of range, and logs which. */
int settings_load(Settings *ret);
