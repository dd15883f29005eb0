/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the daemons without threads: options, signals, the event loop, the log. */

#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct DaemonInfo {
        const char *name;     /* the program's name */
        const char *about;    /* a sentence for --help */
        const char *see_also; /* manual pages */
        bool has_children;    /* block SIGCHLD, for sd_event_add_child(3) */

        /* Creates what runs on the event loop and sends READY=1. Logs errors. */
        int (*start)(void **ret_manager, sd_event **ret_event);
        void (*stop)(void *manager);
} DaemonInfo;

/* For their start(): the event loop, with the watchdog, which ends at SIGTERM and SIGINT. */
int daemon_event_new(sd_event **ret);

/* Returns the exit status for main(). */
int daemon_main(int argc, char *argv[], const DaemonInfo *d);
