/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which polkit action a request takes that lets a script run: add-privileged-service when the run may do more than the sandbox allows,
 * be it by the script's header, by drop-ins or by an edit of the unit (docs/adr/0038). */

#include <systemd/sd-bus.h>

#include "shared/metadata.h"
#include "shared/polkit.h"

/* 1: it takes more. *ret_why says by what, or stays NULL when the header says it. 0; -ENOMEM.
 *
 * Installing: what a replaced service may do counts as well, since until systemd has read the new unit it would start the new script
 * by the old one. */
int privilege_to_install(const Metadata *m, bool replace, char **ret_why);
/* A transient unit gets the drop-ins of its type. */
int privilege_to_test(const Metadata *m, char **ret_why);
/* Running: somebody who was allowed to has installed what the header says. */
int privilege_to_run(const char *slug, char **ret_why);

/* Asks polkit, as bus_verify_polkit_async() does: for add-privileged-service when needed is 1, for action when it is 0; a negative errno is
 * returned. A refusal says why. *ret_privileged, set with the answer 1: the sender may have anything run. */
int privilege_verify(sd_bus_message *m, PolkitRegistry *polkit, const char *action, int needed, const char *why,
                     bool *ret_privileged, sd_bus_error *error);

/* For a request that turns out to take more when it has already been let in. */
int privilege_refuse(const char *why, sd_bus_error *error);
