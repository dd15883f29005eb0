/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* getaddrinfo(3) outside the event loop: each name gets its own thread, which ends with the answer. */

#include <netdb.h>
#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct Resolve Resolve;

/* error: 0, or an error of getaddrinfo(3). The callee owns the addresses and frees them with freeaddrinfo(3); NULL
 * on an error. */
typedef void (*resolve_done_t)(int error, struct addrinfo *addresses, void *userdata);

/* Looks up the addresses for stream sockets. Calls done once, from the event loop; r is freed then. flags: as for
 * getaddrinfo(3). With AI_NUMERICHOST nothing blocks, so no thread is used. -ENOMEM, -EAGAIN. */
int resolve_start(sd_event *event, const char *host, int flags, resolve_done_t done, void *userdata, Resolve **ret);

/* Cancels the call of done. The thread ends when getaddrinfo(3) returns; nothing waits for it. */
Resolve *resolve_cancel(Resolve *r);
