/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The instances of the backend, and the hosts that join: docs/adr/0054. Callbacks as for backend_query(); actor: of
 * audit_actor_text(). */

#include "model/act.h"

#define JOIN_TOKENS_MAX         16    /* open */
#define JOIN_TOKEN_LIFETIME     3600  /* s, unless something else is asked for */
#define JOIN_TOKEN_LIFETIME_MAX 86400 /* s */

/* A row per instance, and per host that has joined but has no instance; with these columns. */
enum {
        INSTANCE_ID,       /* null: none runs */
        INSTANCE_HOSTNAME, /* these two are null for instances of earlier versions */
        INSTANCE_VERSION,
        INSTANCE_STARTED_USEC, /* since the epoch, or null; so are the next two */
        INSTANCE_SEEN_USEC,
        INSTANCE_JOINED_USEC,
        INSTANCE_HOST,  /* the machine's ID, or null */
        INSTANCE_ALIVE, /* "t": seen within the last beats */
};
int instance_list(Backend *b, db_callback_t done, void *userdata);

/* Makes the text of a join token, which the caller frees; -ENOMEM. It is shown once. */
int join_token_make(char **ret);

/* One row with its public id and when it expires (usec); none when there are JOIN_TOKENS_MAX. */
int join_token_add(Backend *b, const char *token, unsigned lifetime, const char *actor, db_callback_t done,
                   void *userdata);
/* Rows: public id, created, expires (usec). */
int join_token_list(Backend *b, db_callback_t done, void *userdata);
/* Withdraws an open one. One row, or none. */
int join_token_remove(Backend *b, const char *id, const char *actor, db_callback_t done, void *userdata);

/* Whether the token can be used: one row with its public id, or none. */
int join_token_look(Backend *b, const char *token, db_callback_t done, void *userdata);

/* Uses it up, for this host, which then enters itself (admin/join.sql). One row, or none when the token cannot be used any more. */
typedef struct JoiningHost {
        const char *host, *hostname;
} JoiningHost;
int join_token_use(Backend *b, const char *token, const JoiningHost *h, const char *actor, db_callback_t done,
                   void *userdata);

/* The host's certificate is renewed. look: one row with its name, or none when no such host has joined. renewed: records that it was. */
int instance_renew_look(Backend *b, const char *host, db_callback_t done, void *userdata);
int instance_renewed(Backend *b, const char *host, const char *actor, db_callback_t done, void *userdata);

/* This host leaves: it is no longer in the list, and its key for access tokens is withdrawn. One row, or none when it had not
 * joined. */
int instance_leave(Backend *b, const char *actor, db_callback_t done, void *userdata);

/* The same for a host that is down, by its ID or its name if that is unique. One row: "t" if it was removed, "f" if it is
 * alive; none when no such host has joined. */
int instance_remove_host(Backend *b, const char *host, const char *actor, db_callback_t done, void *userdata);
