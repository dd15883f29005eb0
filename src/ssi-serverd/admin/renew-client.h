/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a host that has joined gets its next certificate (docs/adr/0065): from the first host, over TLS, proved by the one that it has. */

#include "shared/util.h"

/* When it is due: two thirds into the certificate's life, usec since the epoch. */
uint64_t renew_due(uint64_t begin, uint64_t end);

/* dir: where joining has put the certificate; host: this machine's ID. Returns 1 if the certificate is new, 0 if it is not due yet, as when
 * another instance was faster; or less, with a sentence to be freed. Blocking: for a worker thread. */
int renew_perform(const char *dir, const char *host, char **ret_message);
