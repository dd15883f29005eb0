/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages on their way to the backend: items that wait in the journal's order, and frames that wait for their ack. */

#include "shared/util.h"

typedef struct Outbox Outbox;

/* Per frame. */
#define OUTBOX_ITEMS_MAX 500U
#define OUTBOX_BYTES_MAX (512U * 1024)

/* The number of frames that may wait for their ack. */
#define OUTBOX_FRAMES_MAX 4U

int outbox_new(Outbox **ret);
Outbox *outbox_free(Outbox *o);
DEFINE_CLEANUP(Outbox *, outbox_free);

/* Adds an item of a status_batch (JSON text) and its cursor. Copies both. */
int outbox_push_item(Outbox *o, const char *json, const char *cursor);
/* Adds a whole message that must keep its place among the items. The backend does not acknowledge it. */
int outbox_push_message(Outbox *o, const char *json);

/* Returns 1 with the next frame, which the caller owns; 0 if there is nothing to send or too much is on its way.
 * Items at one cursor stay in one frame if they fit, because the backend cannot resume between them. */
int outbox_next_frame(Outbox *o, char **ret);

/* The backend has committed the frame that ends with this cursor, and all frames before it. Returns the number of
 * items confirmed, 0 if no frame ends with the cursor. */
size_t outbox_ack(Outbox *o, const char *cursor);

/* Forgets everything. Returns how many items were sent but not confirmed. */
size_t outbox_clear(Outbox *o);

size_t outbox_waiting(const Outbox *o);
size_t outbox_in_flight(const Outbox *o);
