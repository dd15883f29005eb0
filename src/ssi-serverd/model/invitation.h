/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Invitations to make an account: docs/adr/0044. Callbacks as for backend_query(). */

#include "model/act.h"

#define INVITATIONS_MAX         20      /* pending, of an account */
#define INVITATION_MAILS_MAX    20      /* a day, of an account */
#define INVITATION_MAILS_TO_MAX 3       /* a day, to an address */
#define INVITATION_LIFETIME     604800  /* s, unless something else is asked for */
#define INVITATION_LIFETIME_MAX 2592000 /* s */

/* Columns of the row that describes an invitation. */
enum {
        INVITATION_ID,
        INVITATION_EXPIRES,      /* RFC 3339 */
        INVITATION_EXPIRES_USEC, /* since the epoch */
        INVITATION_MAILED,       /* whether a mail is on its way: "t", "f" */
};

typedef struct InvitationNew {
        const char *account; /* public id; NULL: by an administrator, without limits on the number */
        const char *email;   /* NULL: for whoever has the link */
        const char *team;  /* public id; to this team, in which the account has the role; NULL: to the backend alone */
        const char *role;  /* that the account must have there */
        const char *to;    /* the role of whoever is invited */
        unsigned lifetime; /* s */
        bool mail;         /* to email, with a link of its own; call notifier_kick() when it is done */
} InvitationNew;

/* Makes the token of the link, which the caller frees; -ENOMEM. It is shown once. */
int invitation_token_make(char **ret);

/* One row; none when the account has INVITATIONS_MAX, or may not invite to the team. */
int invitation_add(Backend *b, const InvitationNew *new, const char *token, const char *actor, db_callback_t done,
                   void *userdata);

/* Withdraws a pending one. One row, or none. account: NULL for an administrator, who may withdraw everybody's. team: instead of the
 * account's own, one to this team, in which the account has the role; or NULL. */
int invitation_remove(Backend *b, const char *account, const char *team, const char *role, const char *id,
                      const char *actor, db_callback_t done, void *userdata);
