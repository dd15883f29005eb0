/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The read replica of SSI_DATABASE_READ_URL: a standby that answers what only reads the history. Nobody sees less there than
 * before, on whatever instance: the statement that authenticates a request also reads the primary's position in its
 * write-ahead log, and the replica answers only once it has replayed that much. It has a moment for this; otherwise, and
 * whenever it is missing, hangs or is not what it should be, the primary answers. docs/adr/0055 */

#include "core/backend.h"

/* As @position in replica.sql writes it. */
#define REPLICA_POSITION_MAX 40

typedef enum ReplicaState {
        REPLICA_STARTING, /* not known yet */
        REPLICA_USED,
        REPLICA_UNREACHABLE,
        REPLICA_SILENT,
        REPLICA_NO_STANDBY,
        REPLICA_FOREIGN,
        REPLICA_TIMELINE,
        REPLICA_LAGS,
        REPLICA_FAILED, /* of a single statement: an error, such as a conflict with what is replayed */
        _REPLICA_STATES,
} ReplicaState;

typedef struct ReplicaStats {
        ReplicaState state;
        bool has_lag; /* the next two are known */
        uint64_t lag_usec, lag_bytes;
        uint64_t reads;                      /* answered by the replica */
        uint64_t fallbacks[_REPLICA_STATES]; /* answered by the primary, and why */
} ReplicaStats;

/* Starts to connect. -EINVAL when libpq cannot read the connection string. */
int replica_new(Backend *b, const char *conninfo, Replica **ret);
/* Calls back for what is under way, with -ECANCELED. */
Replica *replica_free(Replica *r);

/* As backend_query(), for a statement that only reads. position: of the request, as its authentication read it. */
int replica_query(Replica *r, const char *position, const char *sql, unsigned n_params, const char *const *params,
                  db_callback_t callback, void *userdata);

/* The statements that are under way or wait. */
unsigned replica_in_flight(const Replica *r);

const ReplicaStats *replica_stats(Replica *r);
/* "lags" */
const char *replica_state_name(ReplicaState state);
/* "the read replica lags" */
const char *replica_state_reason(ReplicaState state);
