/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking polkit from a D-Bus method handler without blocking the loop.
 *
 * The handler calls bus_verify_polkit_async() before it changes or looks up anything. The first time this sends the
 * question and the handler returns; when polkit has answered, the same message is dispatched again from the start,
 * and this time the call gives the answer. So the handler never resumes with a pointer kept from before.
 * https://polkit.pages.freedesktop.org/polkit/eggdbus-interface-org.freedesktop.PolicyKit1.Authority.html */

#include <systemd/sd-bus.h>

#include "shared/util.h"

typedef struct PolkitRegistry PolkitRegistry;

int polkit_registry_new(PolkitRegistry **ret);
/* Forgets all questions under way. NULL is fine. */
PolkitRegistry *polkit_registry_free(PolkitRegistry *r);
DEFINE_CLEANUP(PolkitRegistry *, polkit_registry_free);

/* 1: go on. 0: polkit has been asked; the handler returns 1 at once and is called again. Negative: refused, with
 * error filled in. root is always allowed. At most 16 questions of one user and 64 in all wait at a time
 * (LimitsExceeded beyond). */
int bus_verify_polkit_async(sd_bus_message *m, const char *action, PolkitRegistry *registry, sd_bus_error *error);
