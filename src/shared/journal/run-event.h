/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A concluded run: a result or an execution error. */

#include <systemd/sd-id128.h>

#include "shared/status.h"
#include "shared/util.h"

typedef enum RunErrorKind {
        RUN_ERROR_NONE = -1,
        RUN_ERROR_EXIT_CODE,
        RUN_ERROR_SIGNAL,
        RUN_ERROR_CORE_DUMP,
        RUN_ERROR_TIMEOUT,
        RUN_ERROR_OOM_KILL,
        RUN_ERROR_NO_STATUS_LINE,
        RUN_ERROR_RESOURCES,
        RUN_ERROR_NOT_EXECUTABLE,
        RUN_ERROR_OTHER,
        _RUN_ERROR_MAX,
} RunErrorKind;

/* The name in docs/protocol.md ("exit-code", …). NULL if out of range. */
const char *run_error_kind_to_string(RunErrorKind k);
/* RUN_ERROR_NONE for "", RUN_ERROR_OTHER for anything that is not in the list. */
RunErrorKind run_error_kind_from_string(const char *s);

/* Describes UNIT_RESULT= and the main process's exit (exit_code: NULL if unknown) as a kind and as a sentence for
 * people, which the caller owns. -ENOMEM. */
int run_failure_describe(const char *result, const char *exit_code, int exit_status, RunErrorKind *ret_kind,
                         char **ret_detail);

/* A concluded run. Has either a status or an error. */
typedef struct RunEvent {
        char *slug;
        char *cursor;             /* of its entry in the journal: reading after it gives the next events */
        sd_id128_t invocation_id; /* SD_ID128_NULL if no entry about the end gave it */
        Status status;            /* _STATUS_INVALID for an execution error */
        char *message;            /* NULL for an execution error */
        RunErrorKind error;       /* RUN_ERROR_NONE for a result */
        char *detail;             /* a sentence for people; NULL for a result */
        uint64_t timestamp;       /* usec since the epoch: the time in the line; for an error, when the run ended */
        uint64_t started;         /* usec since the epoch; 0 if unknown */
        uint64_t ended;           /* usec since the epoch; 0 if unknown */
        uint64_t duration;        /* usec; USEC_INFINITY if unknown */
        bool stopped;             /* an error, because the run was stopped by an administrator or a shutdown */
        bool correction;          /* a late line changed what an earlier event reported about this run */
} RunEvent;

#define RUN_EVENT_INIT ((RunEvent){ .status = _STATUS_INVALID, .error = RUN_ERROR_NONE, .duration = USEC_INFINITY })

/* Frees the members of e and resets it to RUN_EVENT_INIT. */
void run_event_done(RunEvent *e);
/* Makes *ret a deep copy; -ENOMEM. */
int run_event_copy(const RunEvent *e, RunEvent *ret);
