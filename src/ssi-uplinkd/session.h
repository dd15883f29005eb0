/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The connection to the backend: connects, authenticates, asks ssid for the results from the position that the backend
 * names, and sends them. When the connection ends, starts over. Stores nothing: unconfirmed results are read
 * again. */

#include "credentials.h"
#include "net.h"

#include <systemd/sd-bus.h>

typedef struct Session Session;

typedef struct SessionStats {
        uint64_t sent;       /* items confirmed by the backend */
        uint64_t failed;     /* items sent, but unconfirmed when a connection ended; they are sent again */
        uint64_t reconnects; /* connections after the first */
        uint64_t last_ack;   /* usec since the epoch; 0: never */
} SessionStats;

typedef enum SessionLoss {
        LOSS_RETRY,
        LOSS_DUPLICATE, /* another host uses this agent's identity: retried seldom */
        LOSS_REJECTED,  /* the backend no longer knows this agent: the session has stopped */
} SessionLoss;

typedef struct SessionOps {
        /* next_key: what became of the credentials' next key, if there is one: it was accepted, or refused before. */
        void (*connected)(bool next_key, void *userdata);
        /* An attempt failed or the connection ended. */
        void (*disconnected)(const char *reason, SessionLoss loss, void *userdata);
        /* The answer to session_rotate_key(): save it as the next key before session_reconnect(). */
        void (*new_key)(const char *key, void *userdata);
        /* A figure changed. */
        void (*changed)(void *userdata);
        /* Returns 1 with the inventory message, 0 if it is not known yet. */
        int (*inventory)(char **ret, void *userdata);
        /* A result or an error of this service is about to be sent. */
        void (*reported)(const char *slug, void *userdata);
        /* The shutdown message was sent, or cannot be. */
        void (*going_down_told)(void *userdata);
} SessionOps;

/* boot_id: of boot_id_get(), or NULL. */
int session_new(sd_event *event, sd_bus *bus, Net *net, const char *boot_id, const SessionOps *ops, void *userdata,
                Session **ret);
Session *session_free(Session *s);
DEFINE_CLEANUP(Session *, session_free);

/* Borrows credentials and url until session_stop(). */
int session_start(Session *s, const Credentials *credentials, const ServerUrl *url);
void session_stop(Session *s);

void session_inventory_changed(Session *s);

/* The host is going down, or has canceled that. */
void session_going_down(Session *s, bool going_down);

/* Asks for a new key. -ENOTCONN; -EOPNOTSUPP if the backend is too old for it. */
int session_rotate_key(Session *s);
/* Connects anew at once: the credentials have changed. */
void session_reconnect(Session *s);

bool session_is_connected(const Session *s);
/* Items that were read but are not confirmed. */
uint64_t session_backlog(const Session *s);
const SessionStats *session_stats(const Session *s);
