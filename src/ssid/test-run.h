/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Trying a script without installing it: a transient unit with the settings of an installed one, whose result is read
 * from the journal by the same rules.
 *
 * 1. The script is judged, as for an installation.
 * 2. It is written below ssid's runtime directory, and StartTransientUnit runs it.
 * 3. The journal of that unit gives lines and result; systemd is asked, at each JobRemoved and now and then, whether
 *    it is done with it.
 * 4. The request is answered when both have come, and the journal has been quiet for a moment; with an error when the unit
 *    has not ended some time after its timeout, or the journal says nothing.
 *
 * Nothing is left: the unit collects itself and is bound to ssid.service, which ends with its runtime directory. When
 * the caller leaves the bus, the unit is stopped. */

#include "agent.h"
#include "shared/metadata.h"

#define TEST_RUNS_MAX 4

/* metadata is taken in any case; filename and content are copied. The caller has authorised the request, which is
 * answered later. */
int test_run_start(Agent *a, sd_bus_message *request, const char *filename, const char *content,
                   Metadata *metadata_taken, sd_bus_error *error);

/* systemd may have done a job: its JobRemoved says so. */
void test_runs_job_hint(Agent *a, const char *job);

/* For the manager's end: stops those under way. */
void test_runs_abandon(Agent *a);
