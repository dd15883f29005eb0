/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs a helper program without blocking the event loop: as an unprivileged user, with the given standard input, and
 * collects its output. Meant for small tools that check text (systemd-analyze, bash -n), which may come from anyone:
 * each has limits of memory, time and files. At most three run at a time, and only one of them for a user other than
 * root; the others wait for their turn. */

#include <systemd/sd-event.h>

#include "shared/util.h"

/* Checks calendar expressions and time spans. */
#define SYSTEMD_ANALYZE "/usr/bin/systemd-analyze"

typedef struct Helpers Helpers;
typedef struct Subprocess Subprocess;

int helpers_new(sd_event *event, Helpers **ret);
/* Call this after the last subprocess has been freed. NULL is allowed. */
Helpers *helpers_free(Helpers *h);
DEFINE_CLEANUP(Helpers *, helpers_free);
sd_event *helpers_event(Helpers *h);

/* status: the exit status (0–255), or a negative errno: -ETIME if the program ran longer than 10 s, -EIO if a signal
 * ended it, another if it could not be started when its turn came. output: standard output and error, cut at 16 kB,
 * NUL-terminated, borrowed. Called exactly once, and the subprocess is freed afterward; not called if it is freed
 * before. */
typedef void (*subprocess_done_t)(int status, const char *output, void *userdata);

/* Runs the program for the user uid. argv[0] is an absolute path; argv is copied. input may be NULL; it is not copied
 * and must live as long as the subprocess. SIGCHLD must be blocked. */
int subprocess_start(Helpers *h, uid_t uid, const char *const *argv, const char *input, size_t input_len,
                     subprocess_done_t done, void *userdata, Subprocess **ret);
Subprocess *subprocess_free(Subprocess *p);
DEFINE_CLEANUP(Subprocess *, subprocess_free);
