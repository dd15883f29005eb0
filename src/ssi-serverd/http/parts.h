/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A long body in parts, chunked. The same stream as for server-sent events, without events. */

#include "http/http.h"

/* drained is called, from the loop, whenever all that was written has been taken: then write the next part, at once or later. closed:
 * as of http_respond_sse(). sse_close() breaks off, which the client notices. A peer that reads nothing for a minute loses the connection. NULL when the connection is gone or memory is short. */
SseStream *http_respond_parts(HttpRequest *req, const char *content_type,
                              void (*closed)(SseStream *stream, void *userdata),
                              void (*drained)(SseStream *stream, void *userdata), void *userdata);
/* -ENOBUFS for a part that is too long, which breaks off. */
int http_parts_write(SseStream *stream, const char *data, size_t n);
void http_parts_end(SseStream *stream);
