/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a fleet of agents asks of the database: who reports when, and the batches that ingestion makes of it. */

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/change-set.h"
#include "db/array.h"
#include "ingest/batch.sql.h"

#define BATCH_MAX   2000 /* as in ingest.c */
#define SERVICE_MAX 16

typedef enum Notify {
        NOTIFY_NONE,
        NOTIFY_IN_COMMIT, /* as before docs/adr/0052 */
        NOTIFY_AFTER,
} Notify;

typedef struct Options {
        unsigned agents, services, connections, seconds, batch, report;
        double changes;    /* percent */
        uint64_t rate;     /* results per second; 0: as many as the database takes */
        uint64_t from;     /* the place in the order of reports at which to begin */
        bool together;     /* all services of an agent report at once */
        bool inventories;  /* each run announces the next one */
        bool changes_only; /* SSI_HISTORY=changes */
        Notify notify;
        const char *state, *conninfo;
} Options;

typedef struct Agent {
        uint32_t sent;  /* results that its cursor has counted; 0: it has none */
        uint32_t batch; /* the last batch in which it had a part, and which */
        uint16_t part;
        uint16_t untold; /* services whose next run has not been announced */
} Agent;

typedef struct Part {
        uint32_t agent;
        uint16_t results, untold;
} Part;

typedef struct Item {
        uint32_t agent;
        uint16_t part, service;
        bool changed;
        double due; /* usec since the begin */
} Item;

typedef struct Announcement {
        uint32_t agent;
        double due;
} Announcement;

/* The agents of one connection: each number-th of all. */
typedef struct Fleet {
        const Options *options;
        unsigned number;
        Agent *agents;
        uint8_t *state; /* of each service of all agents: what it reported last */
        uint32_t n_agents, n_slots;
        double step;           /* usec between two reports */
        uint64_t taken;        /* reports so far */
        Announcement *waiting; /* a ring with room for each agent */
        uint32_t first_waiting, n_waiting;

        /* The batch. */
        uint32_t batch;
        bool inventory;
        Part parts[BATCH_MAX];
        Item items[BATCH_MAX];
        unsigned n_parts, n_items;
        DbArray arrays[SQL_items_params + 1];
} Fleet;

int fleet_init(Fleet *f, const Options *o, unsigned number, uint8_t *state);
/* The server's key in the database. */
uint32_t fleet_server(const Fleet *f, uint32_t agent);

/* When something is due, in usec since the begin. */
double fleet_due(const Fleet *f);
/* Forms a batch of what is due. False: nothing is. */
bool fleet_take(Fleet *f, double now);
/* Adds what the batch changes, for those who look. */
int fleet_changes(const Fleet *f, Changes *changes);
/* The batch's parameters, borrowed until the next call. Returns how many there are. */
unsigned fleet_params(Fleet *f, const char *instance, const char *params[static SQL_items_params + 1]);
/* It is committed: the cursors have moved. Returns the rows of history. */
unsigned fleet_done(Fleet *f);
