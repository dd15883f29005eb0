/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the main() of the agent's daemons has in common: options, signals, the event loop, the log. */

#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct DaemonInfo {
        const char *name;     /* of the program */
        const char *about;    /* a sentence for --help */
        const char *see_also; /* manual pages */
        bool has_children;    /* blocks SIGCHLD, for sd_event_add_child(3) */

        /* Makes what runs on the event loop and says READY=1. Logs what fails. */
        int (*start)(void **ret_manager, sd_event **ret_event);
        void (*stop)(void *manager);
} DaemonInfo;

/* Returns what main() returns. */
int daemon_main(int argc, char *argv[], const DaemonInfo *d);
