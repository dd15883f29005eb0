/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The audit log: who did what, from where and how. An act is recorded by the statement that does it (@audit() in
 * model/fragments.sql), so that neither exists without the other. A refusal, which a stranger can cause at will, is
 * recorded afterwards, at best, and counted with others like it. docs/adr/0046 */

#include <libpq-fe.h>

#include "core/backend.h"

/* journalctl MESSAGE_ID=… */
#define AUDIT_MESSAGE_ID "676285fd682fe9f96bcd78e75c23da6c"

/* Who acts. Never contains a secret. */
typedef struct AuditActor {
        const char
                *who; /* an account's public id, "uid 0", AUDIT_STRANGER; NULL: the account that the statement finds */
        const char *address;    /* of the client, or AUDIT_BUS */
        const char *method;     /* "password", "session", "token NAME", "mail link", … */
        const char *credential; /* the public id of the session or token; NULL if there is none */
} AuditActor;

#define AUDIT_BUS      "bus"
#define AUDIT_STRANGER ""

/* For the parameter actor of a statement; the caller frees it. NULL when out of memory, with which the statement fails. */
char *audit_actor_text(const AuditActor *a);

/* Writes to the journal what a committed statement has recorded (@audited), if anything. */
void audit_journal(PGresult *res);

/* ---- Refusals ---- */

/* What was refused: constants, except network, actor and account. */
typedef struct AuditRefusal {
        const char *event;   /* "login.refused" */
        const char *outcome; /* AUDIT_REFUSED or AUDIT_THROTTLED */
        const char *method;
        const char *network; /* of network_of(), or AUDIT_BUS */
        const char *actor;   /* a local user, "uid 1000"; NULL: a stranger */
        const char *account; /* the public id of the account concerned, if there is one: never what a stranger typed */
} AuditRefusal;

#define AUDIT_REFUSED   "refused"
#define AUDIT_THROTTLED "throttled"

int audit_refusals_new(Backend *b, AuditRefusals **ret);
AuditRefusals *audit_refusals_free(AuditRefusals *r);

/* Writes what has been counted, before the end. */
void audit_refusals_flush(AuditRefusals *r);

/* Counts it. Written a second later, and at the end of the minute if there were more. */
void audit_refused(Backend *b, const AuditRefusal *what);
