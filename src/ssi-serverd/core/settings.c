/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/log.h"
#include "core/settings.h"

static int get_number(const char *name, unsigned fallback, unsigned min, unsigned max, unsigned *ret)
{
        const char *s = getenv(name);
        unsigned long v;
        char *end;

        if (isempty(s)) {
                *ret = fallback;
                return 0;
        }
        errno = 0;
        v = strtoul(s, &end, 10);
        if (s[0] < '0' || s[0] > '9' || *end != '\0' || errno != 0 || v < min || v > max) {
                log_error("%s must be a number from %u to %u.", name, min, max);
                return -EINVAL;
        }
        *ret = (unsigned) v;
        return 0;
}

int settings_load(Settings *ret)
{
        const char *history = getenv("SSI_HISTORY"), *token = getenv("SSI_METRICS_TOKEN");
        Settings s = {};
        int r;

        if (!isempty(history) && !streq(history, "all") && !streq(history, "changes")) {
                log_error("SSI_HISTORY must be \"all\" or \"changes\".");
                return -EINVAL;
        }
        s.ingest.history_changes_only = !isempty(history) && streq(history, "changes");
        s.metrics_token = isempty(token) ? NULL : token;
        r = get_number("SSI_HISTORY_DAYS", 7, 1, 3650, &s.history_days);
        if (r >= 0)
                r = get_number("SSI_STALE_GRACE", 120, 1, 86400, &s.ingest.grace_seconds);
        if (r >= 0)
                r = get_number("SSI_REBOOT_TIME", 600, 1, 86400, &s.reboot_seconds);
        if (r >= 0)
                r = get_number("SSI_RATE_LIMIT", 100, 0, 1000000, &s.rate_limit);
        if (r < 0)
                return r;
        s.ingest.refresh_usec = s.ingest.grace_seconds * USEC_PER_SEC / 4;
        *ret = s;
        return 0;
}
