/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Logs to standard error, with sd-daemon(3) level prefixes if it is connected to the journal. Only programs log
 * above LOG_DEBUG; library code returns its errors. Thread-safe. */

#include <syslog.h>

#include "shared/util.h"

/* Reads $SSI_LOG_LEVEL (a name of syslog(3) such as "debug", or a number 0–7; default "info") and checks whether
 * standard error is connected to the journal ($JOURNAL_STREAM). */
void log_setup(void);
void log_set_max_level(int level);
/* -EINVAL if s is neither a name nor a number. */
int log_level_from_string(const char *s);

void log_full(int level, const char *format, ...) _printf_(2, 3);

/* Adds these fields to the thread's following lines in the journal: "NAME=value", at most 16, ending with NULL;
 * borrowed. NULL for none. Returns the previous fields. */
const char *const *log_set_fields(const char *const *fields);

/* Appends ": <strerror>" and returns -abs(error), so that `return log_error_errno(r, "…")` reads well. */
int log_full_errno(int level, int error, const char *format, ...) _printf_(3, 4);

#define log_debug(...)            log_full(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)             log_full(LOG_INFO, __VA_ARGS__)
#define log_notice(...)           log_full(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...)          log_full(LOG_WARNING, __VA_ARGS__)
#define log_error(...)            log_full(LOG_ERR, __VA_ARGS__)
#define log_debug_errno(e, ...)   log_full_errno(LOG_DEBUG, e, __VA_ARGS__)
#define log_info_errno(e, ...)    log_full_errno(LOG_INFO, e, __VA_ARGS__)
#define log_warning_errno(e, ...) log_full_errno(LOG_WARNING, e, __VA_ARGS__)
#define log_error_errno(e, ...)   log_full_errno(LOG_ERR, e, __VA_ARGS__)
#define log_oom()                 log_full_errno(LOG_ERR, ENOMEM, "Cannot allocate")
