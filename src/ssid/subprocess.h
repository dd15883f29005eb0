/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs a helper program without blocking the event loop: as an unprivileged user, with the given standard input, and
 * collects its output. Meant for small tools that check text (systemd-analyze, bash -n), which may come from anyone. */

#include <systemd/sd-event.h>

#include "shared/util.h"

/* Checks calendar expressions and time spans. */
#define SYSTEMD_ANALYZE "/usr/bin/systemd-analyze"

typedef struct Subprocess Subprocess;

/* status: the exit status (0–255), or a negative errno: -ETIME if the program ran longer than 10 s, -EIO if a signal
 * ended it. output: standard output and error, cut at 16 kB, NUL-terminated, borrowed. Called exactly once, and the
 * subprocess is freed afterward; not called if it is freed before. */
typedef void (*subprocess_done_t)(int status, const char *output, void *userdata);

/* argv[0] is an absolute path. input may be NULL; it is copied. SIGCHLD must be blocked. */
int subprocess_start(sd_event *event, const char *const *argv, const char *input, size_t input_len,
                     subprocess_done_t done, void *userdata, Subprocess **ret);
Subprocess *subprocess_free(Subprocess *p);
DEFINE_CLEANUP(Subprocess *, subprocess_free);
