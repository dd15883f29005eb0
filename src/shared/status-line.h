/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A status line as printed by a service-script: "YYYY-MM-DD HH:MM:SS, STATUS, MESSAGE". The message may contain
 * commas. */

#include <time.h>

#include "shared/status.h"
#include "shared/util.h"

/* In bytes of UTF-8. A longer message is cut and then ends with STATUS_MESSAGE_CUT. */
#define STATUS_MESSAGE_MAX 4096
#define STATUS_MESSAGE_CUT " [cut]"

typedef struct StatusLine {
        Status status;
        char *message;      /* owned; well-formed UTF-8 without control characters; may be empty */
        uint64_t timestamp; /* usec since the epoch (UTC) */
} StatusLine;

/* Parses the n bytes of one line (a trailing CR or LF is allowed; no NUL byte is needed). The line's time is local;
 * when a clock change makes it ambiguous, the reading nearer to received (usec since the epoch, the entry's time in
 * the journal) is taken. -EBADMSG if this is not a status line (the line is then a diagnostic), -ENOMEM. */
int status_line_parse(const char *line, size_t n, uint64_t received, StatusLine *ret);
void status_line_done(StatusLine *l);

/* "YYYY-MM-DDTHH:MM:SSZ" (RFC 3339), with ".mmm" if there are milliseconds. */
#define RFC3339_MAX 32
char *format_rfc3339(uint64_t usec, char buf[static RFC3339_MAX]);

/* Accepts an RFC 3339 date-time with any offset and fraction. -EINVAL if it is not one. */
int parse_rfc3339(const char *s, uint64_t *ret_usec);
