/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "http/wheel.h"

/* About twice the longest time, so that a timer never lands in a slot that a late tick still has to
 * process. */
#define WHEEL_SLOTS 128

struct Wheel {
        sd_event *event;
        sd_event_source *tick;
        WheelTimer *slots[WHEEL_SLOTS];
        uint64_t last; /* the last second processed */
        unsigned n_armed;
};

uint64_t wheel_now(Wheel *w)
{
        uint64_t usec = 0;

        (void) sd_event_now(w->event, CLOCK_MONOTONIC, &usec);
        return usec / USEC_PER_SEC;
}

static void wheel_schedule(Wheel *w)
{
        (void) sd_event_source_set_time_relative(w->tick, USEC_PER_SEC);
        (void) sd_event_source_set_enabled(w->tick, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        Wheel *w = userdata;
        uint64_t now = wheel_now(w);

        /* After a long stall, process each slot only once. */
        if (now > w->last + WHEEL_SLOTS)
                w->last = now - WHEEL_SLOTS;
        while (w->last < now) {
                WheelTimer **slot = &w->slots[++w->last % WHEEL_SLOTS], *t;

                /* One at a time from the head: fire may change the list. */
                while ((t = *slot)) {
                        wheel_disarm(w, t);
                        t->fire(t, t->userdata);
                }
        }
        if (w->n_armed > 0)
                wheel_schedule(w);
        return 0;
}

int wheel_new(sd_event *event, Wheel **ret)
{
        Wheel *w;
        int r;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &w->tick, CLOCK_MONOTONIC, 0, 50 * USEC_PER_MSEC, on_tick, w);
        if (r < 0) {
                free(w);
                return r;
        }
        (void) sd_event_source_set_enabled(w->tick, SD_EVENT_OFF);
        w->event = sd_event_ref(event);
        *ret = w;
        return 0;
}

Wheel *wheel_free(Wheel *w)
{
        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->tick);
        sd_event_unref(w->event);
        free(w);
        return NULL;
}

void wheel_arm(Wheel *w, WheelTimer *t, unsigned seconds, void (*fire)(WheelTimer *t, void *userdata), void *userdata)
{
        uint64_t now = wheel_now(w);

        wheel_disarm(w, t);
        if (w->n_armed == 0) {
                w->last = now;
                wheel_schedule(w);
        }
        /* One more than requested, because now is rounded down. */
        t->slot = (now + MIN(MAX(seconds, 1U), (unsigned) WHEEL_SECONDS_MAX) + 1) % WHEEL_SLOTS;
        t->fire = fire;
        t->userdata = userdata;
        t->armed = true;
        DL_APPEND(w->slots[t->slot], t);
        w->n_armed++;
}

void wheel_disarm(Wheel *w, WheelTimer *t)
{
        if (!t->armed)
                return;
        DL_DELETE(w->slots[t->slot], t);
        t->prev = t->next = NULL;
        t->armed = false;
        w->n_armed--;
}
