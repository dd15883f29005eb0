/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs a script without installing it: as a transient unit with the settings of an installed unit. The result is read
 * from the journal by the same rules.
 *
 * 1. Validate the script, as for an installation.
 * 2. Write it below ssid's runtime directory, and run it with StartTransientUnit.
 * 3. Read lines and the result from the unit's journal. At each JobRemoved and at intervals, ask systemd whether the
 *    unit's job has ended.
 * 4. Answer the request when the result is there, the job has ended, and the journal has been quiet for a moment.
 *    Answer with an error if the unit still has not ended some time after its timeout, or if the journal shows no
 *    result.
 *
 * Nothing is left behind: systemd collects the unit, which is bound to ssid.service, and the runtime directory is
 * removed when ssid.service ends. If the caller leaves the bus, the unit is stopped. */

#include "agent.h"
#include "shared/metadata.h"

#define TEST_RUNS_MAX          4
#define TEST_RUNS_PER_USER_MAX 2 /* of one other than root */

/* Takes ownership of metadata, also on failure; copies filename and content. The caller has authorized the request,
 * which is answered later. privileged: even if drop-ins let it do more than its sandbox. */
int test_run_start(Agent *a, sd_bus_message *request, const char *filename, const char *content,
                   Metadata *metadata_taken, bool privileged, sd_bus_error *error);

/* JobRemoved says that systemd may have finished this job. */
void test_runs_job_hint(Agent *a, const char *job);

/* Called when the manager ends: stops the running tests. */
void test_runs_abandon(Agent *a);
