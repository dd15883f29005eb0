/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the owner of an agent's session knows about its services: the state that is certainly in the
 * database, because this session has committed it and the epoch admits no other. It avoids writes of
 * unchanged data.
 *
 * Results that change only times are written at most every `refresh` usec. A changed next run waits as
 * long, unless it is more than `refresh` away: it is written at once. */

#include <uthash.h>

#include "ingest/item.h"
#include "shared/slug.h"

#define INVENTORY_DIGEST_SIZE 16

typedef struct KnownService {
        char name[SLUG_MAX + 1];
        bool has_state; /* the fields up to written are known */
        Status status;
        char *message;
        char *error_kind, *error_detail;
        uint64_t written; /* when the state was written; CLOCK_MONOTONIC, usec */
        uint64_t heard;   /* when the last result or error came; usec since the epoch, 0 for never */
        bool untold;      /* changed by a replay, not published yet */
        bool listed;      /* in the last inventory; the fields below are known */
        unsigned char digest[INVENTORY_DIGEST_SIZE];
        uint64_t next_run, next_run_written;
        UT_hash_handle hh;
} KnownService;

/* A service that the database did not take. */
typedef struct KnownRefused {
        char name[SLUG_MAX + 1];
        uint64_t until; /* when it may be tried again; CLOCK_MONOTONIC, usec */
        UT_hash_handle hh;
} KnownRefused;

typedef struct Known {
        KnownService *services;
        KnownRefused *refused;
        bool inventory; /* one has been committed */
} Known;

void known_clear(Known *k);
KnownService *known_find(const Known *k, const char *name);
/* Adds the service if it is missing; NULL when out of memory. */
KnownService *known_get(Known *k, const char *name);
void known_remove(Known *k, KnownService *s);

/* Moves a service to those refused. False: there are too many, or memory ran out. */
bool known_refuse(Known *k, const char *name, uint64_t until);
/* Whether it was refused and may not be tried again yet. */
bool known_is_refused(const Known *k, const char *name, uint64_t now);

/* Whether a result (error NULL) or execution error changes only times of the known state. */
bool known_is_same(const KnownService *s, const IngestItem *item);

/* Of an inventory's entry, without the next run. */
void inventory_digest(const InventoryService *s, unsigned char digest[static INVENTORY_DIGEST_SIZE]);
