/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* getaddrinfo(3) off the event loop: a thread of its own for each name, gone with the answer. */

#include <netdb.h>
#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct Resolve Resolve;

/* error is 0, or one of getaddrinfo(3)'s. The addresses are the callee's, for freeaddrinfo(3), and NULL on an error. */
typedef void (*resolve_done_t)(int error, struct addrinfo *addresses, void *userdata);

/* Looks up the addresses of stream sockets. done is called once, from the event loop, and r is gone then. flags are
 * getaddrinfo(3)'s; with AI_NUMERICHOST nothing blocks and there is no thread. -ENOMEM, -EAGAIN. */
int resolve_start(sd_event *event, const char *host, int flags, resolve_done_t done, void *userdata, Resolve **ret);

/* done is not called any more. The thread goes when getaddrinfo(3) lets it, and nothing waits for it. */
Resolve *resolve_cancel(Resolve *r);
