/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A timer wheel with one-second slots: arming and disarming cost the same with ten timers as with a hundred
 * thousand. Timers fire up to a second late, and never early unless the process was stopped for a minute. */

#include <systemd/sd-event.h>

#include "shared/util.h"

#define WHEEL_SECONDS_MAX 60

typedef struct Wheel Wheel;
typedef struct WheelTimer WheelTimer;

/* Embed this in the object to be timed. Zero-initialized means disarmed. */
struct WheelTimer {
        WheelTimer *prev, *next;
        unsigned slot;
        bool armed;
        void (*fire)(WheelTimer *t, void *userdata);
        void *userdata;
};

int wheel_new(sd_event *event, Wheel **ret);
/* All timers must be disarmed. */
Wheel *wheel_free(Wheel *w);

/* (Re)arms t; seconds: 1 to WHEEL_SECONDS_MAX. fire is called once, with t disarmed; it may arm or disarm any timer
 * and free t. */
void wheel_arm(Wheel *w, WheelTimer *t, unsigned seconds, void (*fire)(WheelTimer *t, void *userdata), void *userdata);
void wheel_disarm(Wheel *w, WheelTimer *t);

/* Whole seconds of CLOCK_MONOTONIC as of the current turn of the event loop. */
uint64_t wheel_now(Wheel *w);
