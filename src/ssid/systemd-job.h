/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits for the end of one of systemd's jobs.
 *
 * JobRemoved is only a hint: it may be lost, or forged by a process that gets it past the bus. So the signal, like a
 * timer, only triggers a query of the unit's property Job, which tells whether the job is still pending. The caller
 * checks the result. */

#include <systemd/sd-event.h>

#include "systemd-query.h"

typedef struct SystemdJob SystemdJob;

/* r: 0 if the job has ended, whatever the result; -ETIMEDOUT if it took too long; or another negative errno. Called
 * once, from the event loop, as the last action; may free the SystemdJob. */
typedef void (*systemd_job_done_t)(int r, void *userdata);

/* job: the path of the job's object. */
int systemd_job_new(sd_event *event, SystemdQueries *queries, const char *unit, const char *job, uint64_t timeout_usec,
                    systemd_job_done_t done, void *userdata, SystemdJob **ret);
SystemdJob *systemd_job_free(SystemdJob *j);
DEFINE_CLEANUP(SystemdJob *, systemd_job_free);

/* This job may have ended. j may be NULL or about another job. */
void systemd_job_hint(SystemdJob *j, const char *job);
