/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* session.c manages the connection; session-messages.c, below it, handles the messages on it. */

#include "backoff.h"
#include "outbox.h"
#include "run-source.h"
#include "session.h"

/* The number of waiting items at which reading pauses, and the number at which it continues. */
#define WAITING_HIGH 1000U
#define WAITING_LOW  500U

typedef enum SessionState {
        SESSION_STOPPED,
        SESSION_WAITING, /* until the next attempt */
        SESSION_CONNECTING,
        SESSION_AUTHENTICATING,
        SESSION_STREAMING,
} SessionState;

struct Session {
        sd_event *event;
        Net *net;
        const SessionOps *ops;
        void *userdata;
        char *boot_id; /* NULL: unknown */

        const Credentials *credentials;
        const ServerUrl *url;
        SessionState state;
        NetConn *conn;
        RunSource *runs;
        Outbox *outbox;
        Backoff backoff;
        sd_event_source *retry, *heartbeat, *listen;
        uint64_t since; /* monotonic, usec */
        bool auth_due, inventory_due, ping_due, paused, was_connected;
        bool can_rotate;      /* the backend gives new keys */
        bool rotate_due;      /* ask for one */
        bool next_refused;    /* the backend does not know the credentials' next key: use the other one */
        bool restarts;        /* the backend announced a restart */
        bool gap_told;        /* the backend already knows of the gap in the history that this session may find */
        bool going_down;      /* the host is going down */
        bool going_down_due;  /* this, or its cancellation, must be reported to the backend */
        bool going_down_sent; /* the report is on its way */
        char error[256];      /* the backend's message before it closed */
        SessionStats stats;
};

/* session-messages.c. After a negative errno, the connection is unusable. */
int session_receive(Session *s, const char *text, size_t length);
/* Sends one frame if there is room. */
int session_send(Session *s);
/* Adds a message without a payload, in its place among the items. */
int session_push_mark(Session *s, const char *type);
