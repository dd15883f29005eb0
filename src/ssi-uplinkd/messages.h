/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Builds the messages of docs/protocol.md as JSON text, which the caller owns. -ENOMEM. */

#include "credentials.h"
#include "shared/json-util.h"
#include "shared/journal/run-tracker.h"

/* The backend's limit for one message, in bytes. */
#define MESSAGE_MAX ((size_t) 1024 * 1024)

/* One of the agent's services. Times are usec since the epoch. */
typedef struct ServiceInfo {
        char *slug, *title, *schedule;
        json_object *metadata;      /* passive keys of the header: strings by name; NULL: none */
        char *watches, *depends_on; /* separated by commas; NULL: none */
        uint64_t timeout_usec, next_run;
        bool enabled;
} ServiceInfo;

void service_info_done(ServiceInfo *s);

/* key: one of those of c. boot_id: NULL if unknown. */
int message_auth(const Credentials *c, const char *key, const char *hostname, const char *boot_id, char **ret);
int message_claim(const char *claim_token, char **ret);

/* Builds an item of a status_batch. */
int message_item(const RunEvent *e, char **ret);
/* from: 0 if unknown. */
int message_gap(const char *cursor, uint64_t from, uint64_t to, char **ret);

/* Builds a message without a payload. */
int message_mark(const char *type, char **ret);
int message_going_down(bool cancelled, char **ret);

/* services ends with NULL. */
int message_inventory(const ServiceInfo *const *services, char **ret);
