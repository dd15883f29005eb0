/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds commands that cannot work in the script's sandbox: `systemctl` as a dynamic user, `sudo`, `ping`, … Cheap
 * and cautious (bash-scan.h): a warning is nearly always right, but its absence proves nothing. */

#include "shared/metadata.h"

typedef struct CommandCheck CommandCheck;

/* Borrows the n bytes of content. */
int command_check_new(const char *content, size_t n, CommandCheck **ret);
CommandCheck *command_check_free(CommandCheck *c);
DEFINE_CLEANUP(CommandCheck *, command_check_free);

/* Looks at one slice of the script, which takes a millisecond or two at most. When that was the last (1; otherwise 0), has added a
 * warning for each such command, with its line. -ENOMEM. */
int command_check_read(CommandCheck *c, Metadata *m);
