/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/random.h>
#include <time.h>

#include "shared/log.h"
#include "messages.h"
#include "session-internal.h"
#include "shared/time-util.h"

#define CONNECT_PATH "/api/v1/agent/connect"

/* The backend sends a ping after 30 s without another message. If nothing arrives, we send a ping; if there is no
 * answer either, the connection is dead. */
#define AUTH_TIMEOUT_USEC (20 * USEC_PER_SEC)
#define PING_AFTER_USEC   (35 * USEC_PER_SEC)
#define DEAD_AFTER_USEC   (44 * USEC_PER_SEC)

/* The backoff is reset after a connection that lasted at least this long. */
#define STABLE_USEC (10 * USEC_PER_SEC)

#define CLOSE_UNAUTHORIZED 4401U

/* Another host uses this agent's identity, until the owner has chosen or this host is registered anew: retry seldom. */
#define CLOSE_DUPLICATE      4410U
#define DUPLICATE_DELAY_USEC (5 * 60 * USEC_PER_SEC)
#define DUPLICATE_REASON \
        "another host uses this agent's identity; register this host anew (ssictl register), or choose it in the dashboard"

/* The backend restarts, or one of several instances stops. Reconnect at once, with random delays so that not all
 * agents do so together. */
#define CLOSE_GOING_AWAY   1001U
#define RESTART_DELAY_USEC (500 * USEC_PER_MSEC)

/* --- disconnecting and reconnecting --- */

static void disconnect(Session *s)
{
        s->conn = net_conn_close(s->conn);
        s->retry = sd_event_source_disable_unref(s->retry);
        s->heartbeat = sd_event_source_disable_unref(s->heartbeat);
        s->listen = sd_event_source_disable_unref(s->listen);
        run_source_stop(s->runs);
        s->stats.failed += outbox_clear(s->outbox);
        s->auth_due = s->inventory_due = s->ping_due = s->paused = s->can_rotate = s->rotate_due = false;
        if (s->going_down && (s->going_down_due || s->going_down_sent))
                s->ops->going_down_told(s->userdata);
        s->going_down_due = s->going_down_sent = false;
}

static int attempt(Session *s);
static void lose(Session *s, const char *reason, SessionLoss loss);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Session *s = userdata;
        int r;

        s->retry = sd_event_source_disable_unref(s->retry);
        r = attempt(s);
        if (r < 0)
                lose(s, strerror(-r), LOSS_RETRY);
        return 0;
}

static int wait_and_retry(Session *s, SessionLoss loss)
{
        uint64_t random = 0, delay;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        delay = loss == LOSS_DUPLICATE ? DUPLICATE_DELAY_USEC + random % DUPLICATE_DELAY_USEC :
                s->restarts            ? random % RESTART_DELAY_USEC :
                                         backoff_next(&s->backoff, random);
        s->restarts = false;
        r = sd_event_add_time_relative(s->event, &s->retry, CLOCK_MONOTONIC, delay, 0, on_retry, s);
        if (r < 0)
                return r;
        s->state = SESSION_WAITING;
        log_debug("Trying again in %.1f s", (double) delay / USEC_PER_SEC);
        return 0;
}

/* The connection, or an attempt to connect, has ended. */
static void lose(Session *s, const char *reason, SessionLoss loss)
{
        bool was_connected = s->state == SESSION_STREAMING;
        char copy[512];
        int r;

        snprintf(copy, sizeof(copy), "%s", s->error[0] ? s->error : reason);
        s->error[0] = '\0';
        if (was_connected && s->since + STABLE_USEC <= now_usec(CLOCK_MONOTONIC))
                backoff_reset(&s->backoff);
        disconnect(s);
        if (loss == LOSS_REJECTED)
                s->state = SESSION_STOPPED;
        else {
                r = wait_and_retry(s, loss);
                if (r < 0) {
                        log_error_errno(r, "Cannot set the timer for the next attempt");
                        (void) sd_event_exit(s->event, r);
                }
        }
        s->ops->disconnected(copy, loss, s->userdata);
}

/* --- from the journal, by way of ssid --- */

static int on_run(const RunEvent *e, void *userdata)
{
        _cleanup_free_ char *json = NULL;
        Session *s = userdata;
        int r;

        /* A run that was stopped by an administrator or a shutdown is not reported; the next event moves the cursor
         * on. */
        if (e->stopped)
                return 0;
        s->ops->reported(e->slug, s->userdata);
        r = message_item(e, &json);
        if (r < 0)
                return r;
        r = outbox_push_item(s->outbox, json, e->cursor);
        if (r < 0)
                return r;
        net_conn_want_write(s->conn);
        s->ops->changed(s->userdata);
        if (outbox_waiting(s->outbox) < WAITING_HIGH || s->paused)
                return 0;
        s->paused = true;
        return run_source_pause(s->runs, true);
}

static void on_gap(const char *cursor, uint64_t from, uint64_t to, void *userdata)
{
        _cleanup_free_ char *json = NULL;
        Session *s = userdata;
        int r;

        if (s->gap_told)
                return;
        log_notice("The journal no longer holds everything that the backend is missing.");
        r = message_gap(cursor, from, to, &json);
        if (r >= 0)
                r = outbox_push_message(s->outbox, json);
        if (r < 0)
                log_error_errno(r, "Cannot report the gap");
        net_conn_want_write(s->conn);
}

static void on_caught_up(void *userdata)
{
        Session *s = userdata;
        int r;

        r = session_push_mark(s, "live");
        if (r < 0)
                lose(s, strerror(-r), LOSS_RETRY);
}

static void on_journal_failed(int error, void *userdata)
{
        char reason[128];

        snprintf(reason, sizeof(reason), "cannot read the journal: %s", strerror(-error));
        lose(userdata, reason, LOSS_RETRY);
}

static const RunSourceOps run_ops = {
        .event = on_run,
        .gap = on_gap,
        .caught_up = on_caught_up,
        .failed = on_journal_failed,
};

/* --- the connection --- */

static int arm_heartbeat(Session *s, uint64_t at)
{
        int r;

        r = sd_event_source_set_time(s->heartbeat, at);
        return r < 0 ? r : sd_event_source_set_enabled(s->heartbeat, SD_EVENT_ONESHOT);
}

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata)
{
        Session *s = userdata;
        uint64_t heard = net_conn_heard(s->conn);

        if (s->state == SESSION_AUTHENTICATING || usec >= heard + DEAD_AFTER_USEC) {
                lose(s, "the backend does not answer", LOSS_RETRY);
                return 0;
        }
        if (usec < heard + PING_AFTER_USEC)
                return arm_heartbeat(s, heard + PING_AFTER_USEC);
        s->ping_due = true;
        net_conn_want_write(s->conn);
        return arm_heartbeat(s, heard + DEAD_AFTER_USEC);
}

/* Runs after each wake-up: if the backend was heard, postpones the heartbeat, so that its timer does not cause
 * another wake-up. */
static int on_turn(sd_event_source *source, void *userdata)
{
        Session *s = userdata;
        uint64_t due;

        if (s->state != SESSION_STREAMING)
                return 0;
        due = net_conn_heard(s->conn) + PING_AFTER_USEC;
        return due > now_usec(CLOCK_MONOTONIC) ? arm_heartbeat(s, due) : 0;
}

static void on_opened(void *userdata)
{
        Session *s = userdata;
        int r;

        s->state = SESSION_AUTHENTICATING;
        s->auth_due = true;
        net_conn_want_write(s->conn);
        r = sd_event_add_time_relative(s->event, &s->heartbeat, CLOCK_MONOTONIC, AUTH_TIMEOUT_USEC, 0, on_heartbeat, s);
        if (r >= 0)
                r = sd_event_add_post(s->event, &s->listen, on_turn, s);
        if (r < 0)
                lose(s, strerror(-r), LOSS_RETRY);
}

static void on_received(unsigned status, const char *text, size_t length, void *userdata)
{
        Session *s = userdata;
        char reason[128];
        int r;

        r = session_receive(s, text, length);
        if (r >= 0)
                return;
        snprintf(reason, sizeof(reason), "cannot use the backend's message: %s", strerror(-r));
        lose(s, reason, LOSS_RETRY);
}

static void on_writable(void *userdata)
{
        Session *s = userdata;
        int r;

        r = session_send(s);
        if (r < 0)
                lose(s, strerror(-r), LOSS_RETRY);
}

static void on_closed(unsigned code, const char *reason, void *userdata)
{
        Session *s = userdata;

        s->restarts = s->state >= SESSION_AUTHENTICATING && code == CLOSE_GOING_AWAY;
        if (s->restarts)
                backoff_reset(&s->backoff);
        if (code == CLOSE_DUPLICATE) {
                s->error[0] = '\0';
                lose(s, DUPLICATE_REASON, LOSS_DUPLICATE);
        } else if (code != CLOSE_UNAUTHORIZED)
                lose(s, reason, LOSS_RETRY);
        else if (s->credentials->next_api_key && !s->next_refused) {
                /* The backend may have been restored to a time before it gave that key. */
                s->next_refused = true;
                lose(s, reason, LOSS_RETRY);
        } else
                lose(s, reason, LOSS_REJECTED);
}

static const NetOps net_ops = {
        .opened = on_opened,
        .received = on_received,
        .writable = on_writable,
        .closed = on_closed,
};

static int attempt(Session *s)
{
        int r;

        s->error[0] = '\0';
        r = net_websocket(s->net, s->url, CONNECT_PATH, &net_ops, s, &s->conn);
        if (r < 0)
                return r;
        s->state = SESSION_CONNECTING;
        return 0;
}

int session_start(Session *s, const Credentials *credentials, const ServerUrl *url)
{
        session_stop(s);
        s->credentials = credentials;
        s->url = url;
        s->stats = (SessionStats){};
        s->was_connected = false;
        s->next_refused = false;
        backoff_reset(&s->backoff);
        return attempt(s);
}

void session_reconnect(Session *s)
{
        int r;

        disconnect(s);
        s->next_refused = false;
        r = attempt(s);
        if (r < 0)
                lose(s, strerror(-r), LOSS_RETRY);
}

int session_rotate_key(Session *s)
{
        if (s->state != SESSION_STREAMING)
                return -ENOTCONN;
        if (!s->can_rotate)
                return -EOPNOTSUPP;
        s->rotate_due = true;
        net_conn_want_write(s->conn);
        return 0;
}

void session_stop(Session *s)
{
        disconnect(s);
        s->state = SESSION_STOPPED;
}

void session_inventory_changed(Session *s)
{
        if (s->state != SESSION_STREAMING)
                return;
        s->inventory_due = true;
        net_conn_want_write(s->conn);
}

void session_going_down(Session *s, bool going_down)
{
        if (s->going_down == going_down)
                return;
        s->going_down = going_down;
        if (s->state == SESSION_STREAMING) {
                s->going_down_due = true;
                net_conn_want_write(s->conn);
        } else if (going_down)
                s->ops->going_down_told(s->userdata);
}

bool session_is_connected(const Session *s)
{
        return s->state == SESSION_STREAMING;
}

uint64_t session_backlog(const Session *s)
{
        return outbox_waiting(s->outbox) + outbox_in_flight(s->outbox);
}

const SessionStats *session_stats(const Session *s)
{
        return &s->stats;
}

int session_new(sd_event *event, sd_bus *bus, Net *net, const char *boot_id, const SessionOps *ops, void *userdata,
                Session **ret)
{
        _cleanup_(session_freep) Session *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->event = sd_event_ref(event);
        s->net = net;
        s->ops = ops;
        s->userdata = userdata;
        if (boot_id) {
                s->boot_id = strdup(boot_id);
                if (!s->boot_id)
                        return -ENOMEM;
        }
        r = outbox_new(&s->outbox);
        if (r < 0)
                return r;
        r = run_source_new(bus, &run_ops, s, &s->runs);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Session *session_free(Session *s)
{
        if (!s)
                return NULL;
        if (s->runs)
                session_stop(s);
        run_source_free(s->runs);
        outbox_free(s->outbox);
        free(s->boot_id);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
