/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* session.c is the life of a connection; session-messages.c, below it, is what is said on it. */

#include "backoff.h"
#include "shared/journal/follow.h"
#include "outbox.h"
#include "session.h"

/* Items that wait before reading pauses, and where it goes on. */
#define WAITING_HIGH 1000U
#define WAITING_LOW  500U

typedef enum SessionState {
        SESSION_STOPPED,
        SESSION_WAITING, /* for the next attempt */
        SESSION_CONNECTING,
        SESSION_AUTHENTICATING,
        SESSION_STREAMING,
} SessionState;

struct Session {
        sd_event *event;
        Net *net;
        const SessionOps *ops;
        void *userdata;

        const Credentials *credentials;
        const ServerUrl *url;
        SessionState state;
        NetConn *conn;
        JournalFollow *follow;
        Outbox *outbox;
        Backoff backoff;
        sd_event_source *retry, *heartbeat, *listen;
        uint64_t since; /* monotonic usec */
        bool auth_due, inventory_due, ping_due, paused, was_connected;
        bool restarts;        /* the backend said so */
        bool gap_told;        /* the backend has the gap that this session may find in its history */
        bool going_down;      /* the host is */
        bool going_down_due;  /* the backend is to be told so, or that it was called off */
        bool going_down_sent; /* it is on its way */
        char error[256];      /* what the backend said before it closed */
        SessionStats stats;
};

/* session-messages.c. After a negative errno the connection is of no more use. */
int session_receive(Session *s, const char *text, size_t length);
/* Sends one frame, when there is room for one. */
int session_send(Session *s);
/* A message without a payload, in its place among the items. */
int session_push_mark(Session *s, const char *type);
