/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Committed changes, published to the streams of this instance and, with NOTIFY, to the other instances. A
 * change only says what to read again, so a repeated or superfluous one does no harm. */

#include "shared/util.h"

/* The channel of LISTEN and NOTIFY. */
#define CHANGES_CHANNEL "ssi_changes"

typedef enum ChangeKind {
        CHANGE_SERVER = 's',          /* state, counts, name */
        CHANGE_SERVICE = 'v',         /* arg: name */
        CHANGE_SERVICE_REMOVED = 'r', /* arg: name */
        CHANGE_SERVER_REMOVED = 'd',
        CHANGE_ACCOUNT = 'a', /* sessions or tokens of the user ended, or the user's teams are others; server: "-" */
        CHANGE_LOGIN = 'l',   /* the user has another session; server: "-" */
        CHANGE_SESSION = 'e', /* arg: the epoch of the agent's new session */
        CHANGE_MISSED = 'm',  /* there were others, which nobody knows any more; user and server: "-" */
        CHANGE_QUOTA = 'q',   /* of the user, or "-": the defaults; server: "-" */
} ChangeKind;

typedef struct Change {
        ChangeKind kind;
        const char *user; /* public ids: of the team, or of the account for 'a' and 'l' */
        const char *server;
        const char *arg; /* or NULL */
} Change;

typedef struct ChangesText ChangesText;

typedef struct Changes {
        Change *items;
        size_t n, allocated;
        ChangesText *texts; /* what the items point to */
} Changes;

/* Copies. -ENOMEM. */
int changes_add(Changes *c, ChangeKind kind, const char *user, const char *server, const char *arg);
void changes_clear(Changes *c);

/* Encodes the changes as payloads that each fit in a notification (8,000 bytes) and name the sending
 * instance. The caller frees the array with payloads_free(). */
int changes_encode(const Changes *c, const char *instance, char ***ret, size_t *ret_n);
void payloads_free(char **payloads, size_t n);

/* Whether this instance sent the payload. */
bool changes_is_from(const char *payload, const char *instance);

/* Replaces *ret. -EBADMSG when the payload is not ours. instance has room for INSTANCE_ID_MAX bytes. */
#define INSTANCE_ID_MAX 40
int changes_decode(const char *payload, char instance[static INSTANCE_ID_MAX], Changes *ret);
