/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whole files: read, written so that a crash leaves the old or the new one, found among systemd's credentials. All block. */

#include <sys/types.h>

#include "shared/util.h"

/* Goes on after signals and short writes. */
int write_all(int fd, const void *data, size_t n);

/* Up to max bytes, fewer where the file ends. *ret is followed by a NUL byte; ret_n may be NULL. */
int read_at_most(int fd, size_t max, char **ret, size_t *ret_n);

/* A new file in the folder in place of what is there by that name, synced (its name is not). Nothing is left of it on failure. */
int write_file_at(int dir_fd, const char *name, mode_t mode, const void *data, size_t n);
/* The same by a file ".NAME.new" that is then renamed, and its name synced: the name leads to the old content or the new. */
int replace_file_at(int dir_fd, const char *name, mode_t mode, const void *data, size_t n);

/* The path of a credential of systemd's (systemd.exec(5), CREDENTIALS): 1 when it is there, 0 when it is not. */
int credential_path(const char *name, char **ret);
