/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "ingest/internal.h"
#include "shared/time-util.h"

/* How many results an account may send: a token bucket per account and instance. What is pushed is always taken, on
 * credit; while there is a debt, its sources are not read. They then take turns, each with what its socket holds, so a
 * replay does not keep the account's other hosts waiting for long, and other accounts not at all. */

#define UNIT      ((int64_t) 60 * 1000 * 1000) /* one result: rate * usec / UNIT results come back */
#define TURN      ((int64_t) 200 * UNIT)       /* what one source is expected to push when it is read again */
#define TICK_USEC (20 * USEC_PER_MSEC)
#define TELL_USEC (60 * USEC_PER_SEC)

/* A long text counts as several results, so the quota also bounds bytes. */
#define COST_SIZE 1024

static bool is_limited(const IngestOwner *o)
{
        return o->rate.per_minute > 0;
}

static int64_t full(const IngestOwner *o)
{
        return (int64_t) o->rate.burst * UNIT;
}

static void refill(IngestOwner *o, uint64_t now)
{
        uint64_t passed = now - o->updated;
        int64_t missing = full(o) - o->credit;

        o->updated = now;
        if (!is_limited(o) || missing <= 0 || passed >= (uint64_t) missing / o->rate.per_minute)
                o->credit = full(o);
        else
                o->credit += (int64_t) (passed * o->rate.per_minute);
}

/* Owners without sources stay until their bucket is full again: a new connection does not empty the account's record. */
static void owner_free(Ingest *i, IngestOwner *o)
{
        HASH_DEL(i->owners, o);
        free(o->user);
        free(o);
}

static void forget_idle(Ingest *i, uint64_t now)
{
        IngestOwner *o, *tmp;

        DL_FOREACH_SAFE2(i->idle_owners, o, tmp, idle_next)
        {
                refill(o, now);
                if (o->credit < full(o) || o->queued)
                        continue;
                DL_DELETE2(i->idle_owners, o, idle_prev, idle_next);
                owner_free(i, o);
        }
}

static IngestOwner *owner_get(Ingest *i, const char *user)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        IngestOwner *o;

        HASH_FIND_STR(i->owners, user, o);
        if (o)
                return o;
        if (now >= i->owners_swept + TELL_USEC) {
                i->owners_swept = now;
                forget_idle(i, now);
        }
        o = calloc(1, sizeof(*o));
        if (!o)
                return NULL;
        o->user = strdup(user);
        if (!o->user) {
                free(o);
                return NULL;
        }
        o->updated = now;
        HASH_ADD_STR(i->owners, user, o);
        DL_APPEND2(i->idle_owners, o, idle_prev, idle_next);
        return o;
}

static void arm(Ingest *i)
{
        (void) sd_event_source_set_time_relative(i->owner_timer, TICK_USEC);
        (void) sd_event_source_set_enabled(i->owner_timer, SD_EVENT_ONESHOT);
}

static void owner_wait(IngestOwner *o, IngestSource *s)
{
        Ingest *i = s->ingest;

        DL_APPEND2(o->waiting, s, wait_prev, wait_next);
        ingest_source_pause(s, s->throttled, true);
        if (o->queued)
                return;
        o->queued = true;
        if (!i->limited_owners)
                arm(i);
        DL_APPEND2(i->limited_owners, o, limited_prev, limited_next);
}

static void owner_resume(IngestOwner *o)
{
        IngestSource *s = o->waiting;

        DL_DELETE2(o->waiting, s, wait_prev, wait_next);
        ingest_source_pause(s, s->throttled, false);
}

/* Whether some of its sources still wait. */
static bool owner_take_turns(IngestOwner *o, uint64_t now)
{
        refill(o, now);
        for (int64_t credit = o->credit; o->waiting && (credit > 0 || !is_limited(o)); credit -= TURN)
                owner_resume(o);
        return o->waiting;
}

int ingest_owners_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        Ingest *i = userdata;
        IngestOwner *o, *tmp;

        DL_FOREACH_SAFE2(i->limited_owners, o, tmp, limited_next)
        {
                if (owner_take_turns(o, now))
                        continue;
                o->queued = false;
                DL_DELETE2(i->limited_owners, o, limited_prev, limited_next);
        }
        if (i->limited_owners)
                arm(i);
        return 0;
}

static void count(IngestOwner *o, int64_t n, uint64_t now)
{
        uint64_t minute = now / (60 * USEC_PER_SEC);

        if (minute != o->minute) {
                o->last_minute = minute == o->minute + 1 ? o->this_minute : 0;
                o->this_minute = 0;
                o->minute = minute;
        }
        o->this_minute += (uint64_t) n;
}

void ingest_owner_charge(IngestSource *s, const IngestItem *items)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        IngestOwner *o = s->owner;
        const IngestItem *item;
        int64_t n = 0;

        if (!o)
                return;
        DL_FOREACH(items, item)
                n += 1 + (int64_t) (ingest_item_size(item) / COST_SIZE);
        count(o, n, now);
        if (!is_limited(o))
                return;
        refill(o, now);
        o->credit -= n * UNIT;
        if (o->credit > 0 || s->limited)
                return;
        owner_wait(o, s);
        if (s->ingest->handler->limited && (o->told == 0 || now >= o->told + TELL_USEC)) {
                o->told = now;
                s->ingest->handler->limited(o->user, &o->rate, s->ingest->userdata);
        }
}

static void owner_set_rate(IngestOwner *o, const IngestRate *rate, uint64_t now)
{
        bool was_limited = is_limited(o);

        if (o->rate.per_minute == rate->per_minute && o->rate.burst == rate->burst)
                return;
        if (was_limited)
                refill(o, now);
        o->rate = *rate;
        o->updated = now;
        if (!was_limited || o->credit > full(o))
                o->credit = full(o);
}

int ingest_source_set_rate(IngestSource *s, const IngestRate *rate)
{
        Ingest *i = s->ingest;
        IngestOwner *o = owner_get(i, s->user);
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (!o)
                return -ENOMEM;
        if (o->n_sources++ == 0)
                DL_DELETE2(i->idle_owners, o, idle_prev, idle_next);
        s->owner = o;
        owner_set_rate(o, rate, now);
        if (!is_limited(o))
                return 0;
        /* Or each new connection would be one more turn. */
        refill(o, now);
        if (o->credit <= 0)
                owner_wait(o, s);
        return 0;
}

void ingest_set_rate(Ingest *i, const char *user, const IngestRate *rate)
{
        IngestOwner *o;

        HASH_FIND_STR(i->owners, user, o);
        if (o)
                owner_set_rate(o, rate, now_usec(CLOCK_MONOTONIC));
}

void ingest_owner_leave(IngestSource *s)
{
        IngestOwner *o = s->owner;
        Ingest *i = s->ingest;

        if (!o)
                return;
        if (s->limited) {
                s->limited = false;
                DL_DELETE2(o->waiting, s, wait_prev, wait_next);
        }
        s->owner = NULL;
        if (--o->n_sources == 0)
                DL_APPEND2(i->idle_owners, o, idle_prev, idle_next);
}

void ingest_owners_free(Ingest *i)
{
        IngestOwner *o, *tmp;

        HASH_ITER(hh, i->owners, o, tmp)
                owner_free(i, o);
}

int ingest_each_owner(Ingest *i, void (*callback)(const char *user, void *userdata), void *userdata)
{
        for (IngestOwner *o = i->owners; o; o = o->hh.next)
                callback(o->user, userdata);
        return (int) HASH_COUNT(i->owners);
}

uint64_t ingest_owner_rate(Ingest *i, const char *user)
{
        IngestOwner *o;

        HASH_FIND_STR(i->owners, user, o);
        if (!o)
                return 0;
        count(o, 0, now_usec(CLOCK_MONOTONIC));
        return o->last_minute;
}
