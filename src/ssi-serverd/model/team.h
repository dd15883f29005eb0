/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Operations on teams: docs/adr/0057. Callbacks as for backend_query(). actor: of audit_actor_text(). */

#include "model/act.h"

#define TEAMS_MAX      20 /* that an account owns, beside its personal one */
#define TEAM_NAME_MAX  64 /* bytes */
#define TEAM_ROLE_LIST "viewer", "operator", "admin", "owner"

/* Who asks: an account with the role that it must have in the team; NULL for an administrator of the backend. */
typedef struct TeamRef {
        const char *user, *role;
        const char *team; /* its public id */
} TeamRef;

/* Columns of each operation's row. None: there is no such team or member, or the caller has too small a role. */
enum {
        TEAM_ID,
        TEAM_VERDICT, /* of team_verdict() */
        TEAM_MEMBER,  /* the public id of the account concerned */
        TEAM_NAME,    /* of team_join() */
};

typedef enum TeamVerdict {
        TEAM_DONE,
        TEAM_PERSONAL,     /* a personal team has no other members, and goes with its account */
        TEAM_OWNER_NEEDED, /* only owners change owners */
        TEAM_SAME,         /* the server belongs to the team already */
        TEAM_REFUSED,      /* it would be left without an owner; it has servers; the account or team may have no more */
} TeamVerdict;

TeamVerdict team_verdict(PGresult *res);

bool team_role_is_valid(const char *role);

/* owner: the public id of the account. */
int team_add(Backend *b, const char *owner, const char *name, const char *actor, db_callback_t done, void *userdata);
int team_rename(Backend *b, const TeamRef *team, const char *name, const char *actor, db_callback_t done,
                void *userdata);
/* One without servers. */
int team_remove(Backend *b, const TeamRef *team, const char *actor, db_callback_t done, void *userdata);

/* member: an account's public id. */
int team_set_role(Backend *b, const TeamRef *team, const char *member, const char *role, const char *actor,
                  db_callback_t done, void *userdata);
/* Its event streams end. */
int team_remove_member(Backend *b, const TeamRef *team, const char *member, const char *actor, db_callback_t done,
                       void *userdata);

/* Of the account, with the token of an invitation. No row: it cannot be used, or the account is a member. */
int team_join(Backend *b, const char *user, const char *invitation, const char *actor, db_callback_t done,
              void *userdata);

/* Moves a server to the team. */
int team_move_server(Backend *b, const TeamRef *team, const char *server, const char *actor, db_callback_t done,
                     void *userdata);
