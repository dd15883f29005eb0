/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Accepted connections of which nothing has been heard yet, as FreeBSD's accf_data(9) keeps them in the kernel (Linux'
 * TCP_DEFER_ACCEPT would let thousands of them fill the queue that others have to get through, tcp(7)). One costs some
 * hundred bytes here, and no more than a close() when it goes, of which thousands may come at once. */

#include <systemd/sd-event.h>

#include "http/wheel.h"

typedef struct AcceptFilter AcceptFilter;

/* wheel: borrowed. seconds: how long the peer may say nothing (1 to WHEEL_SECONDS_MAX). ready gets (and owns) each one of
 * which something can be read; gone is called after one has been closed here, by its peer or for its silence. */
int accept_filter_new(sd_event *event, Wheel *wheel, unsigned seconds, void (*ready)(int fd, void *userdata),
                      void (*gone)(void *userdata), void *userdata, AcceptFilter **ret);
/* Closes all, without a call. */
AcceptFilter *accept_filter_free(AcceptFilter *f);
DEFINE_CLEANUP(AcceptFilter *, accept_filter_free);

/* Takes fd, also on error. */
int accept_filter_add(AcceptFilter *f, int fd);

/* How many wait. */
unsigned accept_filter_count(AcceptFilter *f);

/* Closes, as if their time were over, all of which nothing can be read: what has come meanwhile still gets its turn. */
void accept_filter_close_silent(AcceptFilter *f);
