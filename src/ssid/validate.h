/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Validates a service-script: its header (metadata.h), its commands (command-check.h), the schedule and the timeout
 * (systemd-analyze(1)), the user (getent(1)) and the syntax (`bash -n`). Asynchronous; the helpers run unprivileged. */

#include <systemd/sd-event.h>

#include "shared/metadata.h"
#include "subprocess.h"

typedef struct Validation Validation;

typedef struct Verdict {
        Metadata *metadata;         /* with all problems; the receiver may take it, otherwise it is freed */
        uint64_t timeout_usec;      /* valid only without errors */
        char *normalized;           /* the schedule as systemd writes it; also valid only without errors */
        uint64_t random_delay_usec; /* a small part of the schedule's interval, so that hosts do not all run at once */
} Verdict;

/* r: 0, or a negative errno if the script could not be checked. Called exactly once unless freed before; never from
 * within validation_start(). */
typedef void (*validation_done_t)(int r, Verdict *verdict, void *userdata);

/* Takes ownership of metadata, also on failure; copies content. The helpers run for the user uid. runs_here: a user that
 * this host does not have is an error. Otherwise it is a warning, because the script may be meant for another host. */
int validation_start(Helpers *helpers, uid_t uid, Metadata *metadata_taken, const char *content, size_t n,
                     bool runs_here, validation_done_t done, void *userdata, Validation **ret);
Validation *validation_free(Validation *v);
DEFINE_CLEANUP(Validation *, validation_free);
