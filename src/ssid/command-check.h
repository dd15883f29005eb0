/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Commands that cannot work in the sandbox that a script will get: `systemctl` of a dynamic user, `sudo`, `ping`, … Cheap, and
 * careful (bash-scan.h): a warning is nearly always right, and none says nothing. */

#include "shared/metadata.h"

/* Adds a warning for each such command of the n bytes, with its line. -ENOMEM. */
int commands_check(Metadata *m, const char *content, size_t n);
