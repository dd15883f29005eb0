/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Instances of ingestion and agents that report to them, for tests. */

#include "ingest/ingest.h"
#include "postgres-fixture.h"

/* One instance of the backend, as far as ingestion goes. */
typedef struct Instance {
        Postgres *pg;
        sd_event *event;
        Db *db;
        Ingest *ingest;
        unsigned n_failed, n_changed, n_committed;
        bool up;
} Instance;

typedef struct Agent {
        IngestSource *source;
        char cursor[64];
        int ended;
        bool full;
        bool drained;
        unsigned n_acks;
} Agent;

extern const IngestSettings instance_settings;

void instance_start(Instance *in, Postgres *pg);
void instance_start_with(Instance *in, Postgres *pg, const IngestSettings *settings);
void instance_stop(Instance *in);
int64_t make_server(Postgres *pg);
void agent_start(Agent *a, Instance *in, int64_t server, int64_t epoch);
void agent_stop(Agent *a);
IngestItem *make_result(const char *service, Status status, const char *message, uint64_t t, const char *cursor);
IngestItem *make_error(const char *service, const char *kind, uint64_t t, const char *cursor);
void push(Agent *a, IngestItem *item);
void push_numbered(Agent *a, unsigned from, unsigned n);
const char *query(Instance *in, int64_t server, const char *format);
const char *query_server(Instance *in, int64_t server, const char *column);
IngestItem *make_inventory(unsigned n, const char *const *names);
