/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The connection to the backend: connects, authenticates, reads the journal from the position that the backend asks
 * for, and sends the results. When the connection ends, starts over. Stores nothing: unconfirmed results are read
 * from the journal again. */

#include "credentials.h"
#include "net.h"

typedef struct Session Session;

typedef struct SessionStats {
        uint64_t sent;       /* items confirmed by the backend */
        uint64_t failed;     /* items sent, but unconfirmed when a connection ended; they are sent again */
        uint64_t reconnects; /* connections after the first */
        uint64_t last_ack;   /* usec since the epoch; 0: never */
} SessionStats;

typedef struct SessionOps {
        void (*connected)(void *userdata);
        /* An attempt failed or the connection ended. final: the backend no longer knows this agent, and the session
         * has stopped. */
        void (*disconnected)(const char *reason, bool final, void *userdata);
        /* A figure changed. */
        void (*changed)(void *userdata);
        /* Returns 1 with the inventory message, 0 if it is not known yet. */
        int (*inventory)(char **ret, void *userdata);
        /* A result or an error of this service is about to be sent. */
        void (*reported)(const char *slug, void *userdata);
        /* The shutdown message was sent, or cannot be. */
        void (*going_down_told)(void *userdata);
} SessionOps;

int session_new(sd_event *event, Net *net, const SessionOps *ops, void *userdata, Session **ret);
Session *session_free(Session *s);
DEFINE_CLEANUP(Session *, session_free);

/* Borrows credentials and url until session_stop(). */
int session_start(Session *s, const Credentials *credentials, const ServerUrl *url);
void session_stop(Session *s);

void session_inventory_changed(Session *s);

/* A run has ended: its result will appear in the journal in a moment. */
void session_expect(Session *s);

/* The host is going down, or has canceled that. */
void session_going_down(Session *s, bool going_down);

bool session_is_connected(const Session *s);
/* Items that were read but are not confirmed. */
uint64_t session_backlog(const Session *s);
const SessionStats *session_stats(const Session *s);
