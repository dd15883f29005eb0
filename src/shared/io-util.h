/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whole files: reads them, replaces them so that a crash leaves the old or the new file, and finds systemd's
 * credentials. All functions block. */

#include <sys/types.h>

#include "shared/util.h"

/* Continues after signals and short writes. */
int write_all(int fd, const void *data, size_t n);

/* Reads up to max bytes. *ret is followed by a NUL byte; ret_n may be NULL. */
int read_at_most(int fd, size_t max, char **ret, size_t *ret_n);

/* Creates a file in the folder, replacing any file of that name. Syncs the content, but not the name. Leaves nothing
 * behind on failure. */
int write_file_at(int dir_fd, const char *name, mode_t mode, const void *data, size_t n);
/* The same, but writes ".NAME.new", renames it and syncs the name, which always refers to the old content or the
 * new. */
int replace_file_at(int dir_fd, const char *name, mode_t mode, const void *data, size_t n);

/* The path of one of systemd's credentials (systemd.exec(5), CREDENTIALS): 1 if it exists, 0 if not. */
int credential_path(const char *name, char **ret);
