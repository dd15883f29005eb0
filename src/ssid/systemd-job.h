/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waiting for the end of one of systemd's jobs.
 *
 * JobRemoved is only a hint: it may be lost, or forged by a process that gets it past the bus. So it leads, as a timer does, to a look at
 * the unit's property Job, which says whether the job is still to be done. The caller reads how it ended. */

#include <systemd/sd-event.h>

#include "systemd-query.h"

typedef struct SystemdJob SystemdJob;

/* r: 0 when the job is done, whatever came of it; -ETIMEDOUT when that took too long; or another negative errno. Called once, from
 * the loop, after which nothing happens any more; it may free the SystemdJob. */
typedef void (*systemd_job_done_t)(int r, void *userdata);

/* job: the path of its object. */
int systemd_job_new(sd_event *event, SystemdQueries *queries, const char *unit, const char *job, uint64_t timeout_usec,
                    systemd_job_done_t done, void *userdata, SystemdJob **ret);
SystemdJob *systemd_job_free(SystemdJob *j);
DEFINE_CLEANUP(SystemdJob *, systemd_job_free);

/* This job may be done. j: may be NULL, or about another job. */
void systemd_job_hint(SystemdJob *j, const char *job);
