/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Judging a service-script: the header by metadata.h, its commands by command-check.h, the schedule and the time span by systemd-analyze(1), the user
 * by getent(1), the syntax by `bash -n`. Asynchronous; the helpers run unprivileged. */

#include <systemd/sd-event.h>

#include "shared/metadata.h"

typedef struct Validation Validation;

typedef struct Verdict {
        Metadata *metadata;         /* with all problems; the receiver takes it or leaves it to be freed */
        uint64_t timeout_usec;      /* valid without errors only */
        char *normalized;           /* the schedule as systemd writes it; likewise; freed with the verdict */
        uint64_t random_delay_usec; /* a small part of the schedule's period, so that fleets do not fire at once */
} Verdict;

/* r: 0, or a negative errno when no judgement was possible. Called exactly once unless freed before; never from within
 * validation_start(). */
typedef void (*validation_done_t)(int r, Verdict *verdict, void *userdata);

/* metadata is taken in any case. content is copied. runs_here: a user that this host does not have is an error. Otherwise it is a warning, as
 * the script may be meant for another host. */
int validation_start(sd_event *event, Metadata *metadata_taken, const char *content, size_t n, bool runs_here,
                     validation_done_t done, void *userdata, Validation **ret);
Validation *validation_free(Validation *v);
DEFINE_CLEANUP(Validation *, validation_free);
