/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is on its way to the backend: items that wait, in the journal's order, and frames that wait for their ack. */

#include "shared/util.h"

typedef struct Outbox Outbox;

/* Of one frame. */
#define OUTBOX_ITEMS_MAX 500U
#define OUTBOX_BYTES_MAX (512U * 1024)

/* Frames that may be on their way without an ack. */
#define OUTBOX_FRAMES_MAX 4U

int outbox_new(Outbox **ret);
Outbox *outbox_free(Outbox *o);
DEFINE_CLEANUP(Outbox *, outbox_free);

/* An item of a status_batch, as JSON text, and its cursor. Takes neither. */
int outbox_push_item(Outbox *o, const char *json, const char *cursor);
/* A whole message that must keep its place among the items; it gets no ack. */
int outbox_push_message(Outbox *o, const char *json);

/* 1 and the next frame (owned by the caller), 0 when there is nothing to send or too much is on its way. Items at one
 * cursor stay in one frame: between them there is nothing to resume after. */
int outbox_next_frame(Outbox *o, char **ret);

/* The frame that ends with this cursor, and all before it, are committed. Returns the number of items that this
 * confirmed, 0 when no frame ends so. */
size_t outbox_ack(Outbox *o, const char *cursor);

/* Forgets everything; returns how many items were sent and not confirmed. */
size_t outbox_clear(Outbox *o);

size_t outbox_waiting(const Outbox *o);
size_t outbox_in_flight(const Outbox *o);
