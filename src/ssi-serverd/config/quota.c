/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>

#include "config/quota.h"

#define NUMBER_MAX UINT64_C(1000000000)
#define BYTES_MAX  (UINT64_C(1) << 60)

/* A burst that is not given lasts ten minutes. */
#define BURST_MINUTES 10

static const char *const names[] = {
        [QUOTA_SERVERS] = "servers",   [QUOTA_SERVICES] = "services",   [QUOTA_RESULTS] = "results",
        [QUOTA_STORAGE] = "storage",   [QUOTA_MAILS] = "mails",         [QUOTA_REQUESTS] = "requests",
        [QUOTA_CHANNELS] = "channels", [QUOTA_BROWSERS] = "browsers",   [QUOTA_SILENCES] = "silences",
        [QUOTA_TOKENS] = "tokens",     [QUOTA_RECIPIENT] = "recipient", [QUOTA_ACCOUNT_MAILS] = "account-mails",
};

const char *quota_name(QuotaKind kind)
{
        return names[kind];
}

int quota_of_account(const char *name, QuotaKind *ret)
{
        for (QuotaKind k = 0; k <= QUOTA_TOKENS; k++)
                if (streq(names[k], name)) {
                        *ret = k;
                        return 0;
                }
        return -ENOENT;
}

const char *quota_format(QuotaKind kind)
{
        switch (kind) {
        case QUOTA_RESULTS:
                return "a number of results per minute from 1 to 1000000000, perhaps with a burst (60000:1000000), or \"unlimited\"";
        case QUOTA_STORAGE:
                return "a number of bytes, perhaps with a suffix (500M, 50G), or \"unlimited\"";
        default:
                return "a number from 1 to 1000000000, or \"unlimited\"";
        }
}

/* Reads digits and returns what follows them, or NULL. */
static const char *parse_digits(const char *s, uint64_t max, uint64_t *ret)
{
        uint64_t v = 0;

        if (!isdigit((unsigned char) *s))
                return NULL;
        for (; isdigit((unsigned char) *s); s++) {
                v = v * 10 + (uint64_t) (*s - '0');
                if (v > max)
                        return NULL;
        }
        *ret = v;
        return s;
}

static int parse_bytes(const char *text, uint64_t *ret)
{
        static const char suffixes[] = "KMGT";
        const char *rest, *suffix;
        uint64_t v;

        rest = parse_digits(text, BYTES_MAX, &v);
        if (!rest)
                return -EINVAL;
        if (*rest != '\0') {
                suffix = strchr(suffixes, toupper((unsigned char) *rest));
                if (!suffix || rest[1] != '\0')
                        return -EINVAL;
                for (const char *p = suffixes; p <= suffix; p++)
                        v = v > BYTES_MAX / 1024 ? BYTES_MAX + 1 : v * 1024;
        }
        if (v > BYTES_MAX)
                return -EINVAL;
        *ret = v;
        return 0;
}

int quota_parse(QuotaKind kind, const char *text, Quota *ret)
{
        Quota q = {};
        const char *rest;
        int r;

        /* Not "0", which others take for the opposite. "none" is what earlier versions said. */
        if (streq(text, "unlimited") || streq(text, "none")) {
                *ret = (Quota){ .value = QUOTA_NONE };
                return 0;
        }
        if (kind == QUOTA_STORAGE) {
                r = parse_bytes(text, &q.value);
                if (r < 0)
                        return r;
        } else {
                rest = parse_digits(text, NUMBER_MAX, &q.value);
                if (rest && kind == QUOTA_RESULTS) {
                        q.burst = q.value * BURST_MINUTES;
                        if (*rest == ':')
                                rest = parse_digits(rest + 1, NUMBER_MAX * BURST_MINUTES, &q.burst);
                }
                if (!rest || *rest != '\0' || (kind == QUOTA_RESULTS && q.burst == 0))
                        return -EINVAL;
        }
        if (q.value == 0)
                return -EINVAL;
        *ret = q;
        return 0;
}
