/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The quotas: what one account may use (QUOTA_SERVERS to QUOTA_TOKENS), and how many mails one address may
 * get from all accounts together. Their settings are in item.c, what they mean in docs/adr/0045. */

#include "shared/util.h"

typedef enum QuotaKind {
        QUOTA_SERVERS,
        QUOTA_SERVICES,
        QUOTA_RESULTS,  /* a minute, with a burst */
        QUOTA_STORAGE,  /* bytes of history */
        QUOTA_MAILS,    /* a day */
        QUOTA_REQUESTS, /* an hour: webhooks and push messages */
        QUOTA_CHANNELS,
        QUOTA_BROWSERS,
        QUOTA_SILENCES,
        QUOTA_TOKENS,
        QUOTA_RECIPIENT,     /* notifications a day to one address */
        QUOTA_ACCOUNT_MAILS, /* mails of one kind about accounts a day to one address */
        _QUOTA_KINDS,
} QuotaKind;

#define QUOTA_NONE UINT64_MAX /* unlimited */

typedef struct Quota {
        uint64_t value; /* QUOTA_NONE: no limit */
        uint64_t burst; /* of QUOTA_RESULTS */
        bool automatic; /* not set: derived from other settings */
} Quota;

const char *quota_name(QuotaKind kind);
/* -ENOENT when no quota of accounts has that name. */
int quota_of_account(const char *name, QuotaKind *ret);
/* A sentence about the values that fit: "NAME must be …". */
const char *quota_format(QuotaKind kind);

/* "unlimited", a number from 1, and for some kinds a suffix (K, M, G, T) or a burst (RATE:BURST). -EINVAL. */
int quota_parse(QuotaKind kind, const char *text, Quota *ret);
