/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's runs, as ssid reads them from the journal: this program may not read it (docs/adr/0048). If ssid goes away,
 * reading continues where it was once ssid is back. */

#include <systemd/sd-bus.h>

#include "shared/journal/run-event.h"

typedef struct RunSource RunSource;

/* Called from the event loop, never from within a run_source_ function. A callback may call run_source_pause() and
 * run_source_stop(), but must not free the object. */
typedef struct RunSourceOps {
        /* A concluded run. A negative errno stops reading: see failed(). */
        int (*event)(const RunEvent *e, void *userdata);
        /* The journal no longer contains the cursor to begin after. from: 0 if unknown. */
        void (*gap)(const char *cursor, uint64_t from, uint64_t to, void *userdata);
        /* Everything in the journal so far has been reported. Called once per start. */
        void (*caught_up)(void *userdata);
        /* Reading failed and has stopped. Start again, or give up. */
        void (*failed)(int error, void *userdata);
} RunSourceOps;

int run_source_new(sd_bus *bus, const RunSourceOps *ops, void *userdata, RunSource **ret);
RunSource *run_source_free(RunSource *s);
DEFINE_CLEANUP(RunSource *, run_source_free);

/* Starts or restarts reading after the cursor; without a cursor, with runs later than since (usec since the epoch). */
int run_source_start(RunSource *s, const char *after_cursor, uint64_t since);
void run_source_stop(RunSource *s);

/* While paused, asks for nothing; what was asked for may still come. */
int run_source_pause(RunSource *s, bool pause);
