/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>
#include <utlist.h>

#include "shared/log.h"
#include "notify/notifier-internal.h"
#include "shared/io-util.h"
#include "notify/notifier.sql.h"

/* How it works: anything that may have caused a transition calls notifier_kick(); the evaluation (one
 * statement, one transaction) turns transitions into messages and returns when something held back or queued
 * is due next. Due messages are claimed by another statement; each claimed message occupies a slot until its
 * delivery has ended and the result is recorded. */

#define EVALUATE_GAP_USEC (20 * USEC_PER_MSEC) /* between evaluations under load */
#define WAKE_MAX_USEC     (60 * USEC_PER_SEC)
#define TIDY_USEC         (60 * USEC_PER_SEC)
#define AGAIN_USEC        USEC_PER_SEC
/* After a return of the database, in which all instances put back what they have sent. */
#define QUIET_USEC (5 * USEC_PER_SEC)

static void evaluate(Notifier *n);

static uint64_t monotonic_usec(Notifier *n)
{
        uint64_t now = 0;

        (void) sd_event_now(n->event, CLOCK_MONOTONIC, &now);
        return now;
}

static void wake_at(Notifier *n, uint64_t at)
{
        at = MAX(at, n->evaluated_at + EVALUATE_GAP_USEC);
        if (n->wake_at <= at || n->stopped)
                return;
        n->wake_at = at;
        (void) sd_event_source_set_time(n->wake, at);
        (void) sd_event_source_set_enabled(n->wake, SD_EVENT_ONESHOT);
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
        Notifier *n = userdata;

        n->wake_at = USEC_INFINITY;
        evaluate(n);
        return 0;
}

void notifier_kick(Notifier *n)
{
        if (n->evaluating || n->claiming)
                n->kicked = true;
        else
                wake_at(n, 0);
}

static char *column(PGresult *res, int row, int k)
{
        return PQgetisnull(res, row, k) ? NULL : strdup(PQgetvalue(res, row, k));
}

static NotifySlot *slot_new(Notifier *n, PGresult *res, int row)
{
        NotifySlot *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->notifier = n;
        s->id = column(res, row, 0);
        s->public_id = column(res, row, 1);
        s->payload = column(res, row, 2);
        s->attempts = (unsigned) strtoul(PQgetvalue(res, row, 3), NULL, 10);
        s->type = column(res, row, 4);
        s->config = column(res, row, 5);
        s->endpoint = column(res, row, 6);
        s->p256dh = column(res, row, 7);
        s->auth = column(res, row, 8);
        s->email = column(res, row, 9);
        s->user = column(res, row, 10);
        s->created = column(res, row, 11);
        s->queue = column(res, row, 12);
        s->channel = column(res, row, 13);
        s->subscription = column(res, row, 14);
        DL_APPEND(n->slots, s);
        n->n_slots++;
        return s;
}

static void evaluation_ended(Notifier *n, uint64_t wait_usec)
{
        uint64_t now = monotonic_usec(n);

        if (n->kicked)
                wait_usec = 0;
        n->kicked = false;
        wake_at(n, now + MIN(wait_usec, WAKE_MAX_USEC));
}

static void claimed(PGresult *res, int error, void *userdata)
{
        Notifier *n = userdata;

        n->claiming = false;
        if (error < 0) {
                if (error != -ECANCELED && error != -ECONNRESET)
                        log_warning("Cannot claim notifications: %s", db_result_message(res));
                evaluation_ended(n, AGAIN_USEC);
                return;
        }
        /* Messages for which memory runs out are due again when their lease ends. */
        for (int row = 0; row < PQntuples(res); row++) {
                NotifySlot *s = slot_new(n, res, row);

                if (s)
                        notify_slot_start(s);
        }
        /* Deliveries under way kick when they end, which also finds what is due later. */
        evaluation_ended(n, PQntuples(res) > 0 ? 0 : AGAIN_USEC);
}

static void claim(Notifier *n)
{
        char limit[16], lease[32];
        int r;

        snprintf(limit, sizeof(limit), "%u", NOTIFY_SLOTS_MAX - n->n_slots);
        snprintf(lease, sizeof(lease), "%u s", n->config.timeout + n->config.timeout / 2 + 2);
        r = db_query(n->db, SQL(claim, .limit = limit, .lease = lease, .public = n->key.public), claimed, n);
        if (r >= 0)
                n->claiming = true;
        else
                evaluation_ended(n, AGAIN_USEC);
}

static void evaluated(PGresult *res, int error, void *userdata)
{
        Notifier *n = userdata;
        uint64_t wait_usec;

        n->evaluating = false;
        n->evaluated_at = monotonic_usec(n);
        if (error < 0) {
                if (error != -ECANCELED && error != -ECONNRESET)
                        log_warning("Cannot evaluate notifications: %s", db_result_message(res));
                evaluation_ended(n, AGAIN_USEC);
                return;
        }
        if (*PQgetvalue(res, 0, 0) == 't')
                n->kicked = true;
        wait_usec = PQgetisnull(res, 0, 1) ? USEC_INFINITY : strtoull(PQgetvalue(res, 0, 1), NULL, 10) * USEC_PER_MSEC;
        if (wait_usec > 0 || n->stopped)
                evaluation_ended(n, wait_usec);
        else if (n->n_slots >= NOTIFY_SLOTS_MAX)
                evaluation_ended(n, AGAIN_USEC);
        else
                claim(n);
}

static void evaluate(Notifier *n)
{
        if (n->evaluating || n->claiming || n->stopped || !n->db)
                return;
        n->kicked = false;
        if (monotonic_usec(n) < n->quiet_until) {
                wake_at(n, n->quiet_until);
                return;
        }
        if (db_query(n->db, SQL(evaluate, .public = n->key.public, .history = n->full_history ? "all" : "changes"),
                     evaluated, n) >= 0)
                n->evaluating = true;
        /* Otherwise the connection is down, and its return kicks. */
}

static void tidied(PGresult *res, int error, void *userdata)
{
        if (error < 0 && error != -ECANCELED && error != -ECONNRESET)
                log_warning("Cannot clean up notifications: %s", db_result_message(res));
}

static void tidy(Notifier *n)
{
        if (n->have_key)
                (void) db_query(n->db, SQL(announce_key, .public = n->key.public), tidied, n);
        (void) db_query(n->db, SQL(tidy), tidied, n);
}

static int on_tidy(sd_event_source *source, uint64_t usec, void *userdata)
{
        tidy(userdata);
        (void) sd_event_source_set_time_relative(source, TIDY_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        notify_slots_record(userdata);
        return 0;
}

static void on_state(bool ready, void *userdata)
{
        Notifier *n = userdata;

        if (!ready)
                return;
        if (n->was_connected)
                n->quiet_until = monotonic_usec(n) + QUIET_USEC;
        n->was_connected = true;
        notify_sent_put_back(n);
        tidy(n);
        notify_slots_record(n);
        notifier_kick(n);
}

int notifier_start(Notifier *n, DbHosts *hosts)
{
        int r;

        r = sd_event_add_time_relative(n->event, &n->tidy, CLOCK_MONOTONIC, TIDY_USEC, USEC_PER_SEC, on_tidy, n);
        if (r >= 0)
                r = db_new(n->event, hosts, 1, &n->db);
        if (r < 0)
                return r;
        db_set_state_callback(n->db, on_state, n);
        return 0;
}

void notifier_suspend(Notifier *n)
{
        db_suspend(n->db);
}

void notifier_resume(Notifier *n)
{
        db_resume(n->db);
}

void notifier_stop(Notifier *n)
{
        n->stopped = true;
        (void) sd_event_source_set_enabled(n->wake, SD_EVENT_OFF);
}

bool notifier_is_idle(Notifier *n)
{
        return n->n_slots == 0 && (!n->db || db_in_flight(n->db) == 0);
}

const DeliveryConfig *notifier_config(Notifier *n)
{
        return &n->config;
}

bool notifier_has_account_mail(Notifier *n)
{
        return delivery_has_mail(&n->config) && n->config.public_url;
}

const char *notifier_push_key(Notifier *n)
{
        return n->have_key ? n->key.public : NULL;
}

const char *notifier_push_key_private(Notifier *n)
{
        return n->have_key ? n->key.pem : NULL;
}

/* ---- Startup and shutdown ---- */

/* The credential is for instances on several machines that share a key. */
static int load_key(Notifier *n, const char *file)
{
        _cleanup_free_ char *credential = NULL;
        int r;

        r = credential_path("vapid.key", &credential);
        if (r < 0)
                return log_error_errno(r, "Cannot look for the credential vapid.key");
        if (r > 0)
                file = credential;
        else if (isempty(file))
                file = SSI_SERVER_STATE_DIR "/keys/vapid.pem";
        r = vapid_key_ensure(file, &n->key);
        if (r < 0)
                return log_warning_errno(r, "Cannot read or create the key in %s; push messages are disabled", file);
        n->have_key = true;
        return 0;
}

static int add_timer(Notifier *n, sd_event_source **ret, sd_event_time_handler_t handler)
{
        int r;

        r = sd_event_add_time_relative(n->event, ret, CLOCK_MONOTONIC, 0, 1, handler, n);
        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int notifier_new(sd_event *event, const Config *config, Notifier **ret)
{
        _cleanup_(notifier_freep) Notifier *n = NULL;
        int r;

        n = calloc(1, sizeof(*n));
        if (!n)
                return log_oom();
        n->event = sd_event_ref(event);
        n->wake_at = USEC_INFINITY;
        n->full_history = config->history == CONFIG_HISTORY_ALL;
        r = delivery_config_load(config, &n->config);
        if (r < 0)
                return r;
        (void) load_key(n, config->push_key);
        r = curl_loop_new(event, &n->curl);
        if (r >= 0)
                r = add_timer(n, &n->wake, on_wake);
        if (r >= 0)
                r = add_timer(n, &n->again, on_again);
        if (r < 0)
                return log_error_errno(r, "Cannot set up notifications");
        *ret = TAKE_PTR(n);
        return 0;
}

Notifier *notifier_free(Notifier *n)
{
        NotifySlot *s, *tmp;

        if (!n)
                return NULL;
        n->stopped = true;
        /* Both call back for deliveries under way, which may free slots. */
        n->db = db_free(n->db);
        n->curl = curl_loop_free(n->curl);
        DL_FOREACH_SAFE(n->slots, s, tmp)
                notify_slot_free(s);
        notify_sent_free(n);
        sd_event_source_disable_unref(n->wake);
        sd_event_source_disable_unref(n->tidy);
        sd_event_source_disable_unref(n->again);
        vapid_key_done(&n->key);
        delivery_config_done(&n->config);
        sd_event_unref(n->event);
        free(n);
        return NULL;
}
