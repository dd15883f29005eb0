/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Accepted connections that have sent nothing yet, as FreeBSD's accf_data(9) keeps them in the kernel.
 * (Linux' TCP_DEFER_ACCEPT would let thousands of them fill the queue that everybody has to get through,
 * tcp(7).) Each costs a few hundred bytes here, and only a close() when it goes; thousands may come at
 * once. */

#include <systemd/sd-event.h>

#include "http/wheel.h"

typedef struct AcceptFilter AcceptFilter;

/* wheel: borrowed. seconds: how long the peer may stay silent (1 to WHEEL_SECONDS_MAX). ready gets, and
 * owns, each connection with data to read; gone is called after one was closed here, by its peer or for its
 * silence. */
int accept_filter_new(sd_event *event, Wheel *wheel, unsigned seconds, void (*ready)(int fd, void *userdata),
                      void (*gone)(void *userdata), void *userdata, AcceptFilter **ret);
/* Closes all connections without calling gone. */
AcceptFilter *accept_filter_free(AcceptFilter *f);
DEFINE_CLEANUP(AcceptFilter *, accept_filter_free);

/* Takes ownership of fd, even on error. */
int accept_filter_add(AcceptFilter *f, int fd);

/* The number of waiting connections. */
unsigned accept_filter_count(AcceptFilter *f);

/* Closes the connection that has been silent for longest, but not the newest one; false if there is none. */
bool accept_filter_drop_oldest(AcceptFilter *f);

/* Closes all connections without data to read, as if they had timed out; those that have some still get
 * their turn. */
void accept_filter_close_silent(AcceptFilter *f);
