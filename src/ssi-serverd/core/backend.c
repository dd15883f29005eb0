/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/backend.h"
#include "core/backend.sql.h"
#include "shared/log.h"
#include "shared/time-util.h"

#define HEARING_RETRY_USEC (200 * USEC_PER_MSEC)
#define HEARING_USEC       (5 * USEC_PER_SEC)
#define LOG_AGAIN_USEC     (60 * USEC_PER_SEC)
#define DEAF                                                                                                \
        "The database's notifications do not arrive. Connect to PostgreSQL itself, or through a pooler in " \
        "session mode."

/* ---- Availability ---- */

bool backend_is_ready(const Backend *b)
{
        return b->db && b->has_key && b->maintained && b->hears && !b->restoring && db_is_ready(b->db) &&
               db_is_ready(b->ingest_db);
}

const char *backend_unavailable(const Backend *b)
{
        if (backend_is_ready(b))
                return NULL;
        if (b->has_left)
                return "This host was taken out of service.";
        if (b->restoring)
                return "A backup is being restored.";
        return b->deaf_logged > 0 && db_is_ready(b->db) ? DEAF : "The database is not available.";
}

void backend_update_availability(Backend *b)
{
        http_server_set_unavailable(b->http, backend_unavailable(b));
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

static void hears(Backend *b)
{
        (void) sd_event_source_set_enabled(b->hearing_timer, SD_EVENT_OFF);
        if (b->deaf_logged > 0)
                log_info("The database's notifications arrive.");
        b->deaf_logged = 0;
        b->heard = now_usec(CLOCK_MONOTONIC);
        if (b->hears)
                return;
        b->hears = true;
        backend_available(b);
}

static void proof_sent(PGresult *res, int error, void *userdata)
{
        Backend *b = userdata;

        b->proof_sent = error == 0;
}

/* A notification without changes, by another connection than the one that listens. */
void backend_prove_hearing(Backend *b)
{
        char payload[INSTANCE_ID_MAX + 1];
        int r;

        snprintf(payload, sizeof(payload), "%s\n", b->instance);
        b->proof_sent = false;
        r = backend_query(b, SQL(prove_hearing, .channel = CHANGES_CHANNEL, .payload = payload), proof_sent, b);
        /* The connections that send may still be on their way. */
        (void) sd_event_source_set_time_relative(b->hearing_timer, r < 0 ? HEARING_RETRY_USEC : HEARING_USEC);
        (void) sd_event_source_set_enabled(b->hearing_timer, SD_EVENT_ONESHOT);
}

static int on_hearing_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Backend *b = userdata;
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (b->proof_sent && db_is_ready(b->db) && !b->restoring) {
                b->hears = false;
                if (b->deaf_logged == 0 || now - b->deaf_logged >= LOG_AGAIN_USEC) {
                        b->deaf_logged = now;
                        log_error(DEAF);
                }
                backend_update_availability(b);
        }
        backend_prove_hearing(b);
        return 0;
}

static void on_notified(const char *payload, void *userdata)
{
        _cleanup_(changes_clear) Changes changes = {};
        char instance[INSTANCE_ID_MAX];
        Backend *b = userdata;

        /* We published our own changes when they were committed. */
        if (changes_is_from(payload, b->instance)) {
                hears(b);
                return;
        }
        if (changes_decode(payload, instance, &changes) < 0) {
                log_debug("Ignoring a notification that is not ours");
                return;
        }
        for (size_t i = 0; i < changes.n; i++)
                if (changes.items[i].kind == CHANGE_MISSED) {
                        b->events->missed(b);
                        break;
                }
        b->events->changed(b, &changes);
}

/* Notifications sent while nobody listened are lost. */
static void on_relisten(void *userdata)
{
        Backend *b = userdata;

        b->events->missed(b);
        backend_prove_hearing(b);
}

void backend_listen_stop(Backend *b)
{
        b->hearing_timer = sd_event_source_disable_unref(b->hearing_timer);
}

int backend_listen(Backend *b)
{
        int r;

        r = sd_event_add_time_relative(b->event, &b->hearing_timer, CLOCK_MONOTONIC, HEARING_USEC, 1, on_hearing_timer,
                                       b);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(b->hearing_timer, SD_EVENT_OFF);
        return db_listen(b->db, CHANGES_CHANNEL, on_notified, on_relisten, b);
}
