/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by replica.c, which looks after the replica, and replica-read.c, which reads from it. */

#include "core/replica.h"
#include "db/conn.h"

#define READERS   4
#define READ_USEC (5 * USEC_PER_SEC)
#define SAMPLES   64

typedef struct Position {
        unsigned timeline;
        uint64_t lsn;
} Position;

typedef struct Read {
        char position[REPLICA_POSITION_MAX];
        uint64_t lsn;
        const char *sql;
        unsigned n_params;
        char **params;
        db_callback_t callback;
        void *userdata;
        uint64_t deadline;
        struct Flight *flight; /* NULL while it waits */
        struct Read *prev, *next;
} Read;

/* A guard and a statement on their way; stays until both are answered. */
typedef struct Flight {
        Replica *replica;
        Read *read; /* NULL: the primary was asked meanwhile */
        DbConn *conn;
        unsigned n_pending;
        bool has_all;
} Flight;

/* A position of the primary that the replica has not reached, and when the primary had it. */
typedef struct Sample {
        uint64_t lsn, at;
} Sample;

struct Replica {
        Backend *backend;
        DbHosts *hosts;
        DbConn *look, *readers[READERS];
        sd_event_source *timer;
        Read *reads;
        unsigned n_reads;
        bool freeing;

        bool looking, asking; /* an answer of the replica, of the primary is due */
        uint64_t looked, look_next, down_since;
        unsigned good_looks;
        uint64_t replayed;

        char system[24]; /* the primary's identifier; "" until it is known */
        Position primary;
        Sample samples[SAMPLES];
        unsigned n_samples;
        ReplicaStats stats;
};

/* replica.c: looks at it now, unless it is doing so. */
void replica_look(Replica *r, uint64_t now);
void replica_arm(Replica *r, uint64_t now);

/* replica-read.c. Ends the read with the replica's answer, or asks the primary. */
void replica_deliver(Replica *r, Read *q, PGresult *res, int error);
void replica_fall_back(Replica *r, Read *q, ReplicaState why);
/* Sends what the replica has caught up with, and to the primary what has waited long enough. */
void replica_advance(Replica *r, uint64_t now);
bool replica_parse_position(const char *s, Position *ret);
bool replica_parse_lsn(const char *s, uint64_t *ret);
