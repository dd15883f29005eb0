/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A listening socket in the event loop. */

#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct Listener Listener;

/* Takes ownership of fd on success and makes it non-blocking. accepted gets, and owns, each new connection:
 * non-blocking, close-on-exec and, for TCP, with keepalive and without Nagle's algorithm. */
int listener_new(sd_event *event, int fd, void (*accepted)(int fd, void *userdata), void *userdata, Listener **ret);
Listener *listener_free(Listener *l);
DEFINE_CLEANUP(Listener *, listener_free);

/* While paused, connections wait in the kernel's queue. */
void listener_pause(Listener *l, bool pause);

/* "127.0.0.1:8080", "[::1]:8080", "*:8080" (all addresses) or "/run/a.socket". -EINVAL for anything else;
 * port 0 picks a free one. */
int listen_open(const char *address, int *ret_fd);

/* Whether only this machine can reach the socket: AF_UNIX or bound to a loopback address. Negative errno on error. */
int listen_is_local(int fd);
