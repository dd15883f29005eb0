/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds commands that cannot work in the script's sandbox: `systemctl` as a dynamic user, `sudo`, `ping`, … Cheap
 * and cautious (bash-scan.h): a warning is nearly always right, but its absence proves nothing. */

#include "shared/metadata.h"

/* Adds a warning for each such command in the n bytes, with its line. -ENOMEM. */
int commands_check(Metadata *m, const char *content, size_t n);
