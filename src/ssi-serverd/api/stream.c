/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>
#include <uthash.h>
#include <utlist.h>

#include "db/array.h"
#include "api/stream.h"
#include "api/stream.sql.h"
#include "shared/time-util.h"

#define ANNOUNCE_USEC (20 * USEC_PER_SEC) /* it counts for three times as long */

typedef struct StreamUser StreamUser;
typedef struct StreamTeam StreamTeam;

typedef struct StreamClient {
        SseStream *sse;
        StreamUser *user;
        sd_event_source *expiry;
        struct StreamClient *prev, *next;
} StreamClient;

/* A user in a team. */
typedef struct StreamPlace {
        StreamUser *user;
        StreamTeam *team;
        struct StreamPlace *prev, *next; /* of the team */
        struct StreamPlace *of_user;     /* the next one */
} StreamPlace;

/* A team, members of which have open streams. */
struct StreamTeam {
        char *id;
        StreamPlace *places;
        UT_hash_handle hh;
};

/* A user with open streams. */
struct StreamUser {
        Streams *streams;
        char *id;
        StreamPlace *places;
        StreamClient *clients;
        unsigned n_clients;
        UT_hash_handle hh;
};

struct Streams {
        Backend *backend;
        StreamUser *users;
        StreamTeam *teams;
        uint64_t accounts_changed; /* how often: what was read of an account's teams before is outdated */
        ChangeSet waiting;         /* changes to send, or objects to read again */
        bool reading;
        uint64_t announced; /* that there are viewers here; CLOCK_MONOTONIC, usec */
};

static void streams_flush(Streams *s);

static void user_send(StreamUser *u, const char *event, const char *data)
{
        StreamClient *c;
        size_t n = strlen(data);

        /* A stream that does not accept it is closed, and reports that later, from the loop. */
        DL_FOREACH(u->clients, c)
                (void) sse_send(c->sse, event, data, n);
}

static StreamTeam *team_find(Streams *s, const char *id)
{
        StreamTeam *t;

        HASH_FIND_STR(s->teams, id, t);
        return t;
}

static void team_send(StreamTeam *t, const char *event, const char *data)
{
        StreamPlace *p;

        DL_FOREACH(t->places, p)
                user_send(p->user, event, data);
}

static void team_send_removed(StreamTeam *t, const Change *change)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        bool service = change->kind == CHANGE_SERVICE_REMOVED;

        if (!o || json_add_string(o, "server_id", change->server) < 0 ||
            (service && json_add_string(o, "name", change->arg) < 0))
                return;
        team_send(t, service ? "service-removed" : "server-removed",
                  json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
}

static void read_done(PGresult *res, int error, void *userdata)
{
        Streams *s = userdata;

        s->reading = false;
        if (error < 0) {
                streams_close_all(s);
                return;
        }
        for (int row = 0; row < PQntuples(res); row++) {
                StreamTeam *t = team_find(s, PQgetvalue(res, row, 0));

                if (t)
                        team_send(t, PQgetvalue(res, row, 1), PQgetvalue(res, row, 2));
        }
        streams_flush(s);
}

/* Sends the removals and reads the rest; later changes wait, so that events are in the order of commits. */
static void streams_flush(Streams *s)
{
        DbArray servers = {}, names = {}, counted = {};
        bool any = false;
        int r = 0;

        if (s->reading)
                return;
        for (const WaitingChange *p = s->waiting.items; p; p = p->hh.next) {
                StreamTeam *t = team_find(s, p->change.user);

                if (t && p->change.kind == CHANGE_SERVICE) {
                        db_array_text(&servers, p->change.server);
                        db_array_text(&names, p->change.arg);
                        any = true;
                } else if (t && p->change.kind == CHANGE_SERVER) {
                        db_array_text(&counted, p->change.server);
                        any = true;
                } else if (t)
                        team_send_removed(t, &p->change);
        }
        change_set_clear(&s->waiting);
        if (any) {
                const char *params[] = { db_array_done(&servers), db_array_done(&names), db_array_done(&counted) };

                r = params[0] && params[1] && params[2] ? backend_query(s->backend,
                                                                        SQL(read_changes, .servers = params[0],
                                                                            .names = params[1], .counted = params[2]),
                                                                        read_done, s) :
                                                          -ENOMEM;
                s->reading = r >= 0;
        }
        db_array_free(&servers);
        db_array_free(&names);
        db_array_free(&counted);
        if (r < 0)
                streams_close_all(s);
}

/* Clients that are still authorized reconnect at once. */
static void user_close(StreamUser *u)
{
        StreamClient *c;

        DL_FOREACH(u->clients, c)
                sse_close(c->sse);
}

void streams_changed(Streams *s, const Changes *changes)
{
        int r = 0;

        for (size_t i = 0; i < changes->n && r >= 0; i++) {
                const Change *change = &changes->items[i];
                StreamUser *u;

                if (change->kind == CHANGE_SESSION || change->kind == CHANGE_MISSED || change->kind == CHANGE_QUOTA)
                        continue;
                HASH_FIND_STR(s->users, change->user, u);
                if (change->kind == CHANGE_ACCOUNT) {
                        s->accounts_changed++;
                        if (u)
                                user_close(u);
                } else if (change->kind == CHANGE_LOGIN) {
                        if (u)
                                user_send(u, "sessions", "{}");
                } else if (team_find(s, change->user))
                        r = change_set_add(&s->waiting, change);
        }
        if (r < 0)
                streams_close_all(s);
        else if (s->waiting.items)
                streams_flush(s);
}

size_t streams_count(Streams *s)
{
        size_t n = 0;

        for (const StreamUser *u = s->users; u; u = u->hh.next)
                n += u->n_clients;
        return n;
}

void streams_close_all(Streams *s)
{
        StreamUser *u, *tmp;

        s->announced = 0;
        s->accounts_changed++;
        change_set_clear(&s->waiting);
        HASH_ITER(hh, s->users, u, tmp)
                user_close(u);
}

static void user_leave_teams(StreamUser *u)
{
        StreamPlace *p, *next;

        for (p = TAKE_PTR(u->places); p; p = next) {
                StreamTeam *t = p->team;

                next = p->of_user;
                DL_DELETE(t->places, p);
                free(p);
                if (t->places)
                        continue;
                /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): t is in the table, so there is one */
                HASH_DEL(u->streams->teams, t);
                free(t->id);
                free(t);
        }
}

static StreamTeam *team_get(Streams *s, const char *id)
{
        StreamTeam *t = team_find(s, id);

        if (t)
                return t;
        t = calloc(1, sizeof(*t));
        if (!t)
                return NULL;
        t->id = strdup(id);
        if (!t->id) {
                free(t);
                return NULL;
        }
        HASH_ADD_KEYPTR(hh, s->teams, t->id, strlen(t->id), t);
        return t;
}

static int user_join_team(StreamUser *u, const char *id)
{
        StreamPlace *p = malloc(sizeof(*p));
        StreamTeam *t = p ? team_get(u->streams, id) : NULL;

        if (!t) {
                free(p);
                return -ENOMEM;
        }
        *p = (StreamPlace){ .user = u, .team = t, .of_user = u->places };
        u->places = p;
        DL_APPEND(t->places, p);
        return 0;
}

static void user_remove(StreamUser *u)
{
        user_leave_teams(u);
        HASH_DEL(u->streams->users, u);
        free(u->id);
        free(u);
}

static void client_free(StreamClient *c)
{
        StreamUser *u = c->user;

        sd_event_source_disable_unref(c->expiry);
        DL_DELETE(u->clients, c);
        free(c);
        u->streams->backend->n_viewers--;
        if (--u->n_clients == 0)
                user_remove(u);
}

static void stream_closed(SseStream *stream, void *userdata)
{
        client_free(userdata);
}

static int stream_expired(sd_event_source *source, uint64_t usec, void *userdata)
{
        StreamClient *c = userdata;

        sse_close(c->sse);
        return 0;
}

static StreamUser *user_get(Streams *s, const char *id)
{
        StreamUser *u;

        HASH_FIND_STR(s->users, id, u);
        if (u)
                return u;
        u = calloc(1, sizeof(*u));
        if (!u)
                return NULL;
        u->streams = s;
        u->id = strdup(id);
        if (!u->id) {
                free(u);
                return NULL;
        }
        HASH_ADD_KEYPTR(hh, s->users, u->id, strlen(u->id), u);
        return u;
}

/* The rows: the ids of the user's teams. */
static void open_now(ApiCall *call, PGresult *res)
{
        Streams *s = call->backend->streams;
        uint64_t now = api_now();
        StreamClient *c;
        StreamUser *u;

        u = user_get(s, call->user);
        if (!u) {
                api_fail(call, NULL, -ENOMEM);
                return;
        }
        if (u->n_clients >= STREAMS_PER_USER_MAX) {
                http_respond_problem(call->req, 429, "too-many-requests",
                                     "Too many streams are open; close one first.");
                return;
        }
        c = calloc(1, sizeof(*c));
        if (!c) {
                api_fail(call, NULL, -ENOMEM);
                if (u->n_clients == 0)
                        user_remove(u);
                return;
        }
        user_leave_teams(u);
        for (int i = 0; i < PQntuples(res); i++)
                if (user_join_team(u, PQgetvalue(res, i, 0)) < 0) {
                        api_fail(call, NULL, -ENOMEM);
                        free(c);
                        user_close(u); /* the others have no teams any more */
                        if (u->n_clients == 0)
                                user_remove(u);
                        return;
                }
        c->user = u;
        DL_APPEND(u->clients, c);
        u->n_clients++;
        s->backend->n_viewers++;

        if (sd_event_add_time_relative(s->backend->event, &c->expiry, CLOCK_MONOTONIC,
                                       (call->token_expires - MIN(now, call->token_expires)) * USEC_PER_SEC,
                                       USEC_PER_SEC, stream_expired, c) < 0) {
                api_fail(call, NULL, -ENOMEM);
                client_free(c);
                return;
        }
        c->sse = http_respond_sse(call->req, stream_closed, c);
        if (!c->sse) {
                client_free(c);
                return;
        }
        (void) sse_send(c->sse, "ready", "{}", 2);
}

static void ask_for_teams(ApiCall *call);

/* Whoever was removed from a team in the meantime must not get its changes. */
static void teams_found(ApiCall *call, PGresult *res, int error)
{
        if (error < 0)
                api_fail(call, res, error);
        else if (call->seen != call->backend->streams->accounts_changed)
                ask_for_teams(call);
        else
                open_now(call, res);
}

static void ask_for_teams(ApiCall *call)
{
        call->seen = call->backend->streams->accounts_changed;
        api_query(call, SQL(stream_teams, API_CALLER(call)), teams_found);
}

static void announced(ApiCall *call, PGresult *res, int error)
{
        if (error < 0) {
                api_fail(call, res, error);
                return;
        }
        call->backend->streams->announced = now_usec(CLOCK_MONOTONIC);
        ask_for_teams(call);
}

/* The other instances notify this one of changes only while it has viewers. Its beat keeps that up. */
void stream_open(ApiCall *call)
{
        Streams *s = call->backend->streams;

        if (s->announced > 0 && now_usec(CLOCK_MONOTONIC) - s->announced < ANNOUNCE_USEC)
                ask_for_teams(call);
        else
                api_query(call, SQL(announce_viewer, .instance = call->backend->instance), announced);
}

int streams_new(Backend *backend, Streams **ret)
{
        Streams *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->backend = backend;
        *ret = s;
        return 0;
}

Streams *streams_free(Streams *s)
{
        if (!s)
                return NULL;
        change_set_clear(&s->waiting);
        free(s);
        return NULL;
}
