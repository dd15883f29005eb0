/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-event.h>
#include <utlist.h>

#include "shared/bus-message.h"
#include "shared/bus-turns.h"
#include "shared/log.h"
#include "shared/time-util.h"

/* Of one user: what the bus allows a connection by default. Of all: each may hold 16 file descriptors (LimitNOFILE= of the units). */
#define CALLS_PER_USER_MAX 128U
#define CALLS_MAX          1024U

/* Bytes, of one call: a script and what is beside it; of one user; of all, for calls that are large. */
#define BYTES_PER_CALL_MAX (1152U * 1024U)
#define BYTES_PER_USER_MAX (4U * 1024U * 1024U)
#define BYTES_MAX          (32U * 1024U * 1024U)
#define LARGE              (4U * 1024U)

/* How many times as long as its call a user rests. */
#define REST 3U

typedef struct Call {
        sd_bus_message *message;
        size_t size;
        uint64_t took; /* to find out its size */
        struct Call *prev, *next;
} Call;

/* The calls of a user; or those of a connection, while the bus is asked for its user. */
typedef struct Queue {
        BusTurns *turns;
        char *connection; /* NULL: the user is known */
        uid_t uid;
        sd_bus_slot *slot;
        Call *calls;
        unsigned n;
        size_t size;
        uint64_t rests_until;
        struct Queue *prev, *next;
} Queue;

struct BusTurns {
        sd_bus *bus;
        PolkitRegistry *polkit;
        sd_bus_slot *filter;
        sd_event_source *timer;
        Queue *queues; /* the first has the next turn */
        unsigned n;
        size_t size;
        sd_bus_message *turn; /* is being dispatched, until the filter sees it */
        uint64_t begun;
};

/* ---- Queues ---- */

static Call *call_free(Call *c)
{
        if (!c)
                return NULL;
        sd_bus_message_unref(c->message);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Call *, call_free);

static Call *queue_take(Queue *q, Call *c)
{
        DL_DELETE(q->calls, c);
        q->n--;
        q->size -= c->size;
        q->turns->n--;
        q->turns->size -= c->size;
        return c;
}

static void queue_put(Queue *q, Call *c)
{
        DL_APPEND(q->calls, c);
        q->n++;
        q->size += c->size;
        q->turns->n++;
        q->turns->size += c->size;
}

static Queue *queue_free(Queue *q)
{
        if (!q)
                return NULL;
        while (q->calls)
                call_free(queue_take(q, q->calls));
        DL_DELETE(q->turns->queues, q);
        sd_bus_slot_unref(q->slot);
        free(q->connection);
        free(q);
        return NULL;
}

static int queue_new(BusTurns *t, const char *connection, uid_t uid, Queue **ret)
{
        Queue *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->turns = t;
        q->uid = uid;
        DL_APPEND(t->queues, q);
        if (connection && !(q->connection = strdup(connection))) {
                queue_free(q);
                return -ENOMEM;
        }
        *ret = q;
        return 0;
}

static Queue *find_user(BusTurns *t, uid_t uid)
{
        Queue *q;

        DL_FOREACH(t->queues, q)
                if (!q->connection && q->uid == uid)
                        return q;
        return NULL;
}

static Queue *find_connection(BusTurns *t, const char *connection)
{
        Queue *q;

        DL_FOREACH(t->queues, q)
                if (streq_ptr(q->connection, connection))
                        return q;
        return NULL;
}

static Queue *find_longest(BusTurns *t)
{
        Queue *q, *longest = t->queues;

        DL_FOREACH(t->queues, q)
                if (q->n > longest->n)
                        longest = q;
        return longest;
}

/* ---- Admission ---- */

static int refuse(sd_bus_error *error)
{
        return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "Too many of your requests are waiting; try again when some are answered.");
}

static void refuse_call(Call *c_taken)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(call_freep) Call *c = c_taken;
        int r;

        (void) refuse(&error);
        r = sd_bus_reply_method_error(c->message, &error);
        if (r < 0)
                log_debug_errno(r, "Cannot refuse a request");
}

static bool has_room(const Queue *q, size_t size)
{
        if (!q->connection && q->uid == 0)
                return true;
        return q->n < CALLS_PER_USER_MAX && q->size + size <= BYTES_PER_USER_MAX;
}

/* When there are too many in all, the longest queue loses its last call. */
static int enqueue(Queue *q, Call *c_taken, sd_bus_error *error)
{
        _cleanup_(call_freep) Call *c = c_taken;
        BusTurns *t = q->turns;

        if (!has_room(q, c->size) || (c->size > LARGE && t->size + c->size > BYTES_MAX))
                return refuse(error);
        if (t->n >= CALLS_MAX) {
                Queue *longest = find_longest(t);

                if (longest->n <= q->n + 1)
                        return refuse(error);
                refuse_call(queue_take(longest, longest->calls->prev));
        }
        queue_put(q, TAKE_PTR(c));
        return 0;
}

/* ---- Turns ---- */

/* When the next one is due; without those who have nothing to do with it any more. */
static int arm(BusTurns *t)
{
        uint64_t next = UINT64_MAX, now = now_usec(CLOCK_MONOTONIC);
        Queue *q, *tmp;
        int r;

        DL_FOREACH_SAFE(t->queues, q, tmp) {
                if (q->connection)
                        continue;
                if (q->n > 0)
                        next = MIN(next, q->rests_until);
                else if (q->rests_until <= now)
                        queue_free(q);
        }
        if (next == UINT64_MAX)
                return sd_event_source_set_enabled(t->timer, SD_EVENT_OFF);
        r = sd_event_source_set_time(t->timer, next);
        return r < 0 ? r : sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
}

/* What has been read before comes first; it is not counted. */
static int dispatch(BusTurns *t, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_rewind(m, true);
        if (r >= 0)
                r = sd_bus_enqueue_for_read(t->bus, m);
        if (r < 0)
                return r;
        t->turn = sd_bus_message_ref(m);
        do
                r = sd_bus_process(t->bus, NULL);
        while (r > 0 && t->turn);
        t->turn = sd_bus_message_unref(t->turn);
        return r;
}

static void take_turn(Queue *q)
{
        _cleanup_(call_freep) Call *c = queue_take(q, q->calls);
        BusTurns *t = q->turns;
        uint64_t end;
        int r;

        /* The others come first, next time. And it stays until the call has ended. */
        q->rests_until = UINT64_MAX;
        DL_DELETE(t->queues, q);
        DL_APPEND(t->queues, q);
        /* So that the handler, which wants to know, does not have to wait for the bus. */
        t->begun = now_usec(CLOCK_MONOTONIC);
        r = polkit_learn_uid(t->polkit, sd_bus_message_get_sender(c->message), q->uid);
        if (r >= 0)
                r = dispatch(t, c->message);
        if (r < 0)
                log_debug_errno(r, "Cannot dispatch a request");
        end = now_usec(CLOCK_MONOTONIC);
        q->rests_until = q->uid == 0 ? 0 : end + REST * (c->took + end - t->begun);
}

static int on_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        BusTurns *t = userdata;
        Queue *q;

        DL_FOREACH(t->queues, q)
                if (!q->connection && q->n > 0 && q->rests_until <= now) {
                        take_turn(q);
                        break;
                }
        return arm(t);
}

/* ---- Whose call it is ---- */

/* The connection's calls become its user's. */
static int merge(Queue *stranger, uid_t uid)
{
        BusTurns *t = stranger->turns;
        Queue *q = find_user(t, uid);
        int r;

        r = polkit_learn_uid(t->polkit, stranger->connection, uid);
        if (r >= 0 && !q)
                r = queue_new(t, NULL, uid, &q);
        if (r < 0)
                return r;
        while (stranger->calls) {
                Call *c = queue_take(stranger, stranger->calls);

                if (has_room(q, c->size))
                        queue_put(q, c);
                else
                        refuse_call(c);
        }
        return arm(t);
}

static int on_uid(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Queue *stranger = userdata;
        uint32_t uid;
        int r = 0;

        /* An error: the connection has probably ended. */
        if (!sd_bus_message_is_method_error(reply, NULL)) {
                r = sd_bus_message_read(reply, "u", &uid);
                if (r >= 0)
                        r = merge(stranger, uid);
        }
        while (stranger->calls)
                refuse_call(queue_take(stranger, stranger->calls));
        queue_free(stranger);
        if (r < 0)
                log_warning_errno(r, "Cannot find out who sent a request");
        return 0;
}

static int stranger_new(BusTurns *t, const char *connection, Queue **ret)
{
        Queue *q = NULL;
        int r;

        r = queue_new(t, connection, 0, &q);
        if (r < 0)
                return r;
        r = sd_bus_call_method_async(t->bus, &q->slot, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", "GetConnectionUnixUser", on_uid, q, "s", connection);
        if (r < 0) {
                queue_free(q);
                return r;
        }
        *ret = q;
        return 0;
}

static int find_queue(BusTurns *t, const char *connection, Queue **ret)
{
        uid_t uid;

        *ret = find_connection(t, connection);
        if (*ret)
                return 0;
        if (!polkit_knows_uid(t->polkit, connection, &uid))
                return stranger_new(t, connection, ret);
        *ret = find_user(t, uid);
        return *ret ? 0 : queue_new(t, NULL, uid, ret);
}

static int read_size(Call *c, sd_bus_error *error)
{
        uint64_t begun = now_usec(CLOCK_MONOTONIC);
        int r;

        r = bus_message_size(c->message, BYTES_PER_CALL_MAX, &c->size);
        if (r == -EMSGSIZE)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "The request has more than %u bytes, or too many values.", BYTES_PER_CALL_MAX);
        c->took = now_usec(CLOCK_MONOTONIC) - begun;
        return r;
}

static int admit(BusTurns *t, sd_bus_message *m, const char *connection, sd_bus_error *error)
{
        _cleanup_(call_freep) Call *c = NULL;
        Queue *q = NULL;
        int r;

        r = find_queue(t, connection, &q);
        if (r < 0)
                return r;
        /* The size is not asked for where there may be no room: sd-bus checks each character of a text before it tells its length, two
         * milliseconds for a megabyte. */
        if (!has_room(q, BYTES_PER_CALL_MAX))
                return refuse(error);
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->message = sd_bus_message_ref(m);
        r = read_size(c, error);
        if (r >= 0)
                r = enqueue(q, TAKE_PTR(c), error);
        return r < 0 ? r : arm(t);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *connection = sd_bus_message_get_sender(m);
        BusTurns *t = userdata;
        int r;

        if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0 || !connection)
                return 0;
        if (m == t->turn) {
                t->turn = sd_bus_message_unref(t->turn);
                t->begun = now_usec(CLOCK_MONOTONIC);
                return 0;
        }
        if (polkit_has_answered(t->polkit, m))
                return 0;
        r = admit(t, m, connection, error);
        return r < 0 ? r : 1;
}

int bus_turns_new(sd_bus *bus, PolkitRegistry *polkit, BusTurns **ret)
{
        _cleanup_(bus_turns_freep) BusTurns *t = NULL;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->bus = sd_bus_ref(bus);
        t->polkit = polkit;
        r = sd_event_add_time(sd_bus_get_event(bus), &t->timer, CLOCK_MONOTONIC, 0, 1, on_turn, t);
        if (r >= 0)
                r = sd_event_source_set_enabled(t->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_bus_add_filter(bus, &t->filter, on_message, t);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

BusTurns *bus_turns_free(BusTurns *t)
{
        if (!t)
                return NULL;
        sd_bus_slot_unref(t->filter);
        sd_event_source_disable_unref(t->timer);
        while (t->queues)
                queue_free(t->queues);
        sd_bus_unref(t->bus);
        free(t);
        return NULL;
}
