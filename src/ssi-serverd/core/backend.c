/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/backend.h"
#include "core/backend.sql.h"
#include "shared/log.h"

/* ---- Availability ---- */

bool backend_is_ready(const Backend *b)
{
        return b->db && b->has_key && b->maintained && !b->restoring && db_is_ready(b->db) && db_is_ready(b->ingest_db);
}

void backend_update_availability(Backend *b)
{
        http_server_set_unavailable(b->http, backend_is_ready(b) ? NULL :
                                             b->restoring        ? "A backup is being restored." :
                                                                   "The database is not available.");
}

void backend_available(Backend *b)
{
        backend_update_availability(b);
        b->events->available(b);
}

void backend_wrote(Backend *b, int error, const char *message)
{
        if (error == -ECANCELED || error == -ENOTCONN || error == -ECONNRESET)
                return;
        if (error == 0 && b->trouble) {
                log_info("The database accepts writes again.");
                free(TAKE_PTR(b->trouble));
        } else if (error < 0 && !b->trouble) {
                b->trouble = strdup(message);
                log_warning("The database rejects writes (%s); retrying, results are not acknowledged.", message);
        }
}

int backend_query(Backend *b, const char *sql, unsigned n_params, const char *const *params, db_callback_t callback,
                  void *userdata)
{
        if (!b->db)
                return -ENOTCONN;
        return db_query(b->db, sql, n_params, params, callback, userdata);
}

/* ---- Changes ---- */

void backend_publish(Backend *b, const Changes *changes, bool notified)
{
        char **payloads = NULL;
        size_t n = 0;

        b->events->changed(b, changes);
        if (notified || changes_encode(changes, b->instance, &payloads, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++)
                (void) backend_query(b, SQL(publish_change, .channel = CHANGES_CHANNEL, .payload = payloads[i]), NULL,
                                     NULL);
        payloads_free(payloads, n);
}

void backend_publish_one(Backend *b, ChangeKind kind, const char *user, const char *server, const char *arg)
{
        _cleanup_(changes_clear) Changes changes = {};

        if (changes_add(&changes, kind, user, server, arg) >= 0)
                backend_publish(b, &changes, false);
}

static void on_notified(const char *payload, void *userdata)
{
        _cleanup_(changes_clear) Changes changes = {};
        char instance[INSTANCE_ID_MAX];
        Backend *b = userdata;

        /* We published our own changes when they were committed. */
        if (changes_is_from(payload, b->instance))
                return;
        if (changes_decode(payload, instance, &changes) < 0)
                log_debug("Ignoring a notification that is not ours");
        else
                b->events->changed(b, &changes);
}

/* Notifications sent while nobody listened are lost. */
static void on_relisten(void *userdata)
{
        Backend *b = userdata;

        b->events->missed(b);
}

int backend_listen(Backend *b)
{
        return db_listen(b->db, CHANGES_CHANNEL, on_notified, on_relisten, b);
}
