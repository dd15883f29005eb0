/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Server-sent events: sends committed changes to the streams of the members of the team they belong to. Changes only name
 * what to read again; one query at a time reads everything that was named in the meantime, so that a burst
 * becomes one event per object. */

#include "api/call.h"
#include "core/changes.h"

/* Per user; more are answered with 429. */
#define STREAMS_PER_USER_MAX 32

int streams_new(Backend *s, Streams **ret);
/* The HTTP server must have ended all streams. */
Streams *streams_free(Streams *s);

/* The handler of GET /api/v1/stream. */
void stream_open(ApiCall *c);

size_t streams_count(Streams *s);

void streams_changed(Streams *s, const Changes *changes);

/* After changes may have been missed: the clients reconnect and read the lists again. */
void streams_close_all(Streams *s);
