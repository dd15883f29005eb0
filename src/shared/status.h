/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The four statuses in order of severity. An execution error is not one of them. */

typedef enum Status {
        STATUS_OK,
        STATUS_UPDATE,
        STATUS_WARNING,
        STATUS_FAILURE,
        _STATUS_MAX,
        _STATUS_INVALID = -1,
} Status;

/* "OK", "UPDATE", "WARNING", "FAILURE"; NULL if out of range. Static strings. */
const char *status_to_string(Status s);

/* Exact, in upper case. Returns _STATUS_INVALID for anything else. */
Status status_from_string(const char *s);
