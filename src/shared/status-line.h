/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A status line as a service-script prints it: "YYYY-MM-DD HH:MM:SS, STATUS, MESSAGE". The message may hold commas. */

#include <time.h>

#include "shared/status.h"
#include "shared/util.h"

/* In bytes of UTF-8. A longer message is cut, and ends with STATUS_MESSAGE_CUT then. */
#define STATUS_MESSAGE_MAX 4096
#define STATUS_MESSAGE_CUT " [cut]"

typedef struct StatusLine {
        Status status;
        char *message;      /* owned; well-formed UTF-8 without control characters; may be empty */
        uint64_t timestamp; /* usec since the epoch (UTC) */
} StatusLine;

/* Parses the n bytes of one line (a trailing CR or LF is allowed; NUL bytes need not end it).
 * The line's time is local; received (usec since the epoch, the journal's own time of the entry) decides between the
 * two readings of the ambiguous hour of a clock change. Returns -EBADMSG when this is not a status line (the line is
 * a diagnostic then), -ENOMEM. */
int status_line_parse(const char *line, size_t n, uint64_t received, StatusLine *ret);
void status_line_done(StatusLine *l);

/* "YYYY-MM-DDTHH:MM:SSZ" (RFC 3339), with ".mmm" when there are milliseconds. */
#define RFC3339_MAX 32
char *format_rfc3339(uint64_t usec, char buf[static RFC3339_MAX]);

/* Accepts an RFC 3339 date-time with any offset and fraction. -EINVAL when it is not one. */
int parse_rfc3339(const char *s, uint64_t *ret_usec);
