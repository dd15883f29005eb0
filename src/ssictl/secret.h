/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Secrets that a person types, or a file holds: one line. Other users see a command's arguments, so none belongs there. */

#include "ctl.h"

#define SECRET_SIZE_MAX 1024U

/* On the terminal, without echo. prompt ends with a space. Says what failed and returns a negative exit code. */
int secret_ask(const char *prompt, char **ret);
/* The first line of a file; "-" is standard input. The same. */
int secret_read(const char *path, char **ret);
/* A token: the argument (which is hidden from other users from then on; "-" is standard input), the file of --token-file, or without either
 * what is typed or piped in. missing: what to say if it is empty. The same. */
int secret_take(const Ctl *c, char *arg, const char *missing, char **ret);
/* Erases and frees. NULL is fine. */
void secret_freep(char **secret);
#define _cleanup_secret_ _cleanup_(secret_freep)
