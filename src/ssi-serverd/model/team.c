/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/team.h"
#include "model/team.sql.h"

#define TEAM_CALLER(t) .user = (t)->user, .role = (t)->role, .team = (t)->team

/* The columns of team_move_server after the verdict. */
enum {
        MOVED_FROM = TEAM_VERDICT + 1,
        MOVED_SERVER,
        MOVED_EPOCH,
};

TeamVerdict team_verdict(PGresult *res)
{
        static const char *const names[] = {
                [TEAM_DONE] = "done",
                [TEAM_PERSONAL] = "personal",
                [TEAM_OWNER_NEEDED] = "owner-needed",
                [TEAM_SAME] = "same",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(PQgetvalue(res, 0, TEAM_VERDICT), names[i]))
                        return (TeamVerdict) i;
        return TEAM_REFUSED;
}

bool team_role_is_valid(const char *role)
{
        static const char *const roles[] = { TEAM_ROLE_LIST };

        for (size_t i = 0; i < ELEMENTSOF(roles); i++)
                if (streq_ptr(role, roles[i]))
                        return true;
        return false;
}

/* The streams of the accounts concerned end, and begin again with their present teams. */
static void publish_members(Backend *b, PGresult *res)
{
        if (team_verdict(res) != TEAM_DONE)
                return;
        for (int i = 0; i < PQntuples(res); i++)
                if (!PQgetisnull(res, i, TEAM_MEMBER))
                        backend_publish_one(b, CHANGE_ACCOUNT, PQgetvalue(res, i, TEAM_MEMBER), "-", NULL);
}

int team_add(Backend *b, const char *owner, const char *name, const char *actor, db_callback_t done, void *userdata)
{
        char id[ID_MAX];

        id_new("team", id);
        return act_query(b, SQL(team_add, .owner = owner, .id = id, .name = name, .actor = actor), publish_members,
                         done, userdata);
}

int team_rename(Backend *b, const TeamRef *team, const char *name, const char *actor, db_callback_t done,
                void *userdata)
{
        return act_query(b, SQL(team_rename, TEAM_CALLER(team), .name = name, .actor = actor), NULL, done, userdata);
}

int team_remove(Backend *b, const TeamRef *team, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(team_remove, TEAM_CALLER(team), .actor = actor), publish_members, done, userdata);
}

int team_set_role(Backend *b, const TeamRef *team, const char *member, const char *role, const char *actor,
                  db_callback_t done, void *userdata)
{
        return act_query(b, SQL(team_set_role, TEAM_CALLER(team), .member = member, .to = role, .actor = actor),
                         publish_members, done, userdata);
}

int team_remove_member(Backend *b, const TeamRef *team, const char *member, const char *actor, db_callback_t done,
                       void *userdata)
{
        return act_query(b, SQL(team_remove_member, TEAM_CALLER(team), .member = member, .actor = actor),
                         publish_members, done, userdata);
}

int team_join(Backend *b, const char *user, const char *invitation, const char *actor, db_callback_t done,
              void *userdata)
{
        char hash[TOKEN_HASH_MAX];

        token_hash(invitation, hash);
        return act_query(b, SQL(team_join, .user = user, .invitation = hash, .actor = actor), publish_members, done,
                         userdata);
}

static void publish_moved(Backend *b, PGresult *res)
{
        const char *server = PQgetvalue(res, 0, MOVED_SERVER), *to = PQgetvalue(res, 0, TEAM_ID);

        if (team_verdict(res) != TEAM_DONE)
                return;
        backend_publish_one(b, CHANGE_SESSION, to, server, PQgetvalue(res, 0, MOVED_EPOCH));
        backend_publish_one(b, CHANGE_SERVER_REMOVED, PQgetvalue(res, 0, MOVED_FROM), server, NULL);
        backend_publish_one(b, CHANGE_SERVER, to, server, NULL);
}

int team_move_server(Backend *b, const TeamRef *team, const char *server, const char *actor, db_callback_t done,
                     void *userdata)
{
        return act_query(b, SQL(team_move_server, TEAM_CALLER(team), .server = server, .actor = actor), publish_moved,
                         done, userdata);
}
