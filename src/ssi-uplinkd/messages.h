/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The messages of docs/protocol.md, as JSON text that the caller owns. -ENOMEM. */

#include "credentials.h"
#include "shared/json-util.h"
#include "shared/journal/run-tracker.h"

/* Bytes of one message that the backend takes. */
#define MESSAGE_MAX ((size_t) 1024 * 1024)

/* One of the services that the agent has. Times are usec since the epoch. */
typedef struct ServiceInfo {
        char *slug, *title, *schedule;
        json_object *metadata;      /* the passive keys of the header: strings by name; NULL is none */
        char *watches, *depends_on; /* words with commas; NULL is none */
        uint64_t timeout_usec, next_run;
        bool enabled;
} ServiceInfo;

void service_info_done(ServiceInfo *s);

int message_auth(const Credentials *c, const char *hostname, char **ret);
int message_claim(const char *claim_token, char **ret);

/* An item of a status_batch. */
int message_item(const RunEvent *e, char **ret);
/* from 0 is unknown. */
int message_gap(const char *cursor, uint64_t from, uint64_t to, char **ret);

/* A message without a payload. */
int message_mark(const char *type, char **ret);
int message_going_down(bool cancelled, char **ret);

/* services: NULL-terminated. */
int message_inventory(const ServiceInfo *const *services, char **ret);
