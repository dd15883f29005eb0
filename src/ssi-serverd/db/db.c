/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "db/conn.h"
#include "db/db.h"

struct Db {
        sd_event *event;
        DbHosts *hosts;
        DbConn **conns;
        unsigned n_conns;
        bool ready;
        void (*changed)(bool ready, void *userdata);
        void *changed_userdata;

        DbConn *listener;
        char *channel;
        void (*notified)(const char *payload, void *userdata);
        void (*relisten)(void *userdata);
        void *listen_userdata;
};

static void pool_state_changed(DbConn *c, bool up, void *userdata)
{
        Db *db = userdata;
        bool ready = db_is_ready(db);

        if (ready == db->ready)
                return;
        db->ready = ready;
        if (db->changed)
                db->changed(ready, db->changed_userdata);
}

static void pool_notified(DbConn *c, const char *channel, const char *payload, void *userdata)
{
}

static const DbConnHandler pool_handler = {
        .state_changed = pool_state_changed,
        .notified = pool_notified,
};

static void listener_done(PGresult *res, int error, void *userdata)
{
        Db *db = userdata;

        /* A connection that breaks later reconnects and listens again. */
        if (error == 0 && db->relisten)
                db->relisten(db->listen_userdata);
}

static void listener_state_changed(DbConn *c, bool up, void *userdata)
{
        _cleanup_free_ char *name = NULL, *sql = NULL;
        Db *db = userdata;

        if (!up)
                return;
        name = db_conn_quote_identifier(c, db->channel);
        if (name && asprintf(&sql, "LISTEN %s", name) >= 0)
                (void) db_conn_query(c, NULL, sql, 0, NULL, listener_done, db);
}

static void listener_notified(DbConn *c, const char *channel, const char *payload, void *userdata)
{
        Db *db = userdata;

        if (streq(channel, db->channel))
                db->notified(payload, db->listen_userdata);
}

static const DbConnHandler listener_handler = {
        .state_changed = listener_state_changed,
        .notified = listener_notified,
};

int db_new(sd_event *event, DbHosts *hosts, unsigned n_connections, Db **ret)
{
        _cleanup_(db_freep) Db *db = NULL;
        int r;

        if (n_connections == 0)
                return -EINVAL;
        db = calloc(1, sizeof(*db));
        if (!db)
                return -ENOMEM;
        db->event = sd_event_ref(event);
        db->hosts = db_hosts_ref(hosts);
        db->conns = calloc(n_connections, sizeof(*db->conns));
        if (!db->conns)
                return -ENOMEM;
        for (; db->n_conns < n_connections; db->n_conns++) {
                r = db_conn_new(event, hosts, &pool_handler, db, &db->conns[db->n_conns]);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(db);
        return 0;
}

Db *db_free(Db *db)
{
        if (!db)
                return NULL;
        db->changed = NULL;
        db_conn_free(db->listener);
        for (unsigned i = 0; i < db->n_conns; i++)
                db->conns[i] = db_conn_free(db->conns[i]);
        free(db->conns);
        db_hosts_unref(db->hosts);
        free(db->channel);
        sd_event_unref(db->event);
        free(db);
        return NULL;
}

bool db_is_ready(Db *db)
{
        for (unsigned i = 0; i < db->n_conns; i++)
                if (db->conns[i] && db_conn_is_ready(db->conns[i]))
                        return true;
        return false;
}

unsigned db_in_flight(Db *db)
{
        unsigned n = 0;

        for (unsigned i = 0; i < db->n_conns; i++)
                n += db_conn_in_flight(db->conns[i]);
        return n;
}

static void db_each(Db *db, void (*f)(DbConn *c))
{
        if (db->listener)
                f(db->listener);
        for (unsigned i = 0; i < db->n_conns; i++)
                f(db->conns[i]);
}

void db_suspend(Db *db)
{
        db_each(db, db_conn_suspend);
}

void db_resume(Db *db)
{
        db_each(db, db_conn_resume);
}

void db_set_state_callback(Db *db, void (*changed)(bool ready, void *userdata), void *userdata)
{
        db->changed = changed;
        db->changed_userdata = userdata;
}

/* The connection with the fewest statements under way, or NULL. */
static DbConn *db_pick(Db *db)
{
        DbConn *best = NULL;

        for (unsigned i = 0; i < db->n_conns; i++) {
                DbConn *c = db->conns[i];

                if (c && db_conn_is_ready(c) && (!best || db_conn_in_flight(c) < db_conn_in_flight(best)))
                        best = c;
        }
        return best;
}

int db_query(Db *db, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
             void *userdata)
{
        DbConn *c = db_pick(db);

        return c ? db_conn_query(c, NULL, sql, n_params, params, callback, userdata) : -ENOTCONN;
}

int db_query_prepared(Db *db, const char *name, const char *sql, unsigned n_params, const char *const *params,
                      db_callback_t callback, void *userdata)
{
        DbConn *c = db_pick(db);

        return c ? db_conn_query(c, name, sql, n_params, params, callback, userdata) : -ENOTCONN;
}

int db_listen(Db *db, const char *channel, void (*notified)(const char *payload, void *userdata),
              void (*relisten)(void *userdata), void *userdata)
{
        int r;

        if (db->listener)
                return -EBUSY;
        r = free_and_strdup(&db->channel, channel);
        if (r < 0)
                return r;
        db->notified = notified;
        db->relisten = relisten;
        db->listen_userdata = userdata;
        return db_conn_new(db->event, db->hosts, &listener_handler, db, &db->listener);
}
