/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks polkit from a D-Bus method handler without blocking the event loop.
 *
 * The handler calls bus_verify_polkit_async() before it looks up or changes anything. The first call sends the
 * question, and the handler returns. When polkit has answered, the same message is dispatched again from the start, and
 * this time the call returns the answer. So the handler never keeps a pointer while it waits.
 * https://polkit.pages.freedesktop.org/polkit/eggdbus-interface-org.freedesktop.PolicyKit1.Authority.html */

#include <systemd/sd-bus.h>

#include "shared/util.h"

typedef struct PolkitRegistry PolkitRegistry;

int polkit_registry_new(PolkitRegistry **ret);
/* Forgets all pending questions. NULL is allowed. */
PolkitRegistry *polkit_registry_free(PolkitRegistry *r);
DEFINE_CLEANUP(PolkitRegistry *, polkit_registry_free);

/* 1: go on. 0: polkit was asked; the handler returns 1 at once and is called again. Negative: refused, and error is
 * set. root is always allowed. At most 16 questions per user and 64 in total wait at a time (beyond that,
 * LimitsExceeded). The message is kept meanwhile: it has come through BusTurns, which limits its size. */
int bus_verify_polkit_async(sd_bus_message *m, const char *action, PolkitRegistry *registry, sd_bus_error *error);
/* The same with a question of one's own for the person who is asked (NULL: the one of the action). If another question is needed when the first is
 * answered, that one is asked, too. Only for a caller that runs as root. */
int bus_verify_polkit_question_async(sd_bus_message *m, const char *action, const char *question,
                                     PolkitRegistry *registry, sd_bus_error *error);

/* Whether the message's question has been answered, so that it is dispatched again. */
bool polkit_has_answered(const PolkitRegistry *r, const sd_bus_message *m);

/* The user who has sent it, of the last connections: the bus gives their names to no other. The bus is asked, and waited for, where nobody
 * has said before whose connection it is. */
int polkit_sender_uid(PolkitRegistry *r, sd_bus_message *m, uid_t *ret);
bool polkit_knows_uid(const PolkitRegistry *r, const char *connection, uid_t *ret);
int polkit_learn_uid(PolkitRegistry *r, const char *connection, uid_t uid);
