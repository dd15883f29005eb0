/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "shared/journal/run-event.h"

/* systemd.exec(5): execve() failed. */
#define EXIT_STATUS_EXEC 203

static const char *const kind_table[_RUN_ERROR_MAX] = {
        [RUN_ERROR_EXIT_CODE] = "exit-code", [RUN_ERROR_SIGNAL] = "signal",
        [RUN_ERROR_CORE_DUMP] = "core-dump", [RUN_ERROR_TIMEOUT] = "timeout",
        [RUN_ERROR_OOM_KILL] = "oom-kill",   [RUN_ERROR_NO_STATUS_LINE] = "no-status-line",
        [RUN_ERROR_RESOURCES] = "resources", [RUN_ERROR_NOT_EXECUTABLE] = "not-executable",
        [RUN_ERROR_OTHER] = "other",
};

const char *run_error_kind_to_string(RunErrorKind k)
{
        return k >= 0 && k < _RUN_ERROR_MAX ? kind_table[k] : NULL;
}

RunErrorKind run_error_kind_from_string(const char *s)
{
        if (isempty(s))
                return RUN_ERROR_NONE;
        for (RunErrorKind k = 0; k < _RUN_ERROR_MAX; k++)
                if (streq(s, kind_table[k]))
                        return k;
        return RUN_ERROR_OTHER;
}

void run_event_done(RunEvent *e)
{
        free(e->slug);
        free(e->cursor);
        free(e->message);
        free(e->detail);
        *e = RUN_EVENT_INIT;
}

static int dup_string(const char *s, char **ret)
{
        if (!s)
                return 0;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

int run_event_copy(const RunEvent *e, RunEvent *ret)
{
        RunEvent c = *e;

        c.slug = c.cursor = c.message = c.detail = NULL;
        if (dup_string(e->slug, &c.slug) < 0 || dup_string(e->cursor, &c.cursor) < 0 ||
            dup_string(e->message, &c.message) < 0 || dup_string(e->detail, &c.detail) < 0) {
                run_event_done(&c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

/* number: the signal that ended the main process, unless exit_code is empty. NULL if out of memory. */
static char *describe_signal(const char *what, const char *exit_code, int number)
{
        const char *name = isempty(exit_code) ? NULL : sigabbrev_np(number);
        char *s;
        int r;

        r = name ? asprintf(&s, "%s by SIG%s", what, name) : asprintf(&s, "%s by a signal", what);
        return r < 0 ? NULL : s;
}

static char *describe_exit(const char *exit_code, int status)
{
        char *s;

        if (isempty(exit_code))
                return strdup("exited with an error status");
        return asprintf(&s, "exited with status %i", status) < 0 ? NULL : s;
}

static char *describe_other(const char *result)
{
        char *s;

        return asprintf(&s, "failed with result '%.64s'", isempty(result) ? "unknown" : result) < 0 ? NULL : s;
}

int run_failure_describe(const char *result, const char *exit_code, int exit_status, RunErrorKind *ret_kind,
                         char **ret_detail)
{
        RunErrorKind kind;
        char *detail;

        if (streq_ptr(result, "exit-code") && exit_status == EXIT_STATUS_EXEC) {
                kind = RUN_ERROR_NOT_EXECUTABLE;
                detail = strdup("systemd could not execute the script");
        } else if (streq_ptr(result, "exit-code")) {
                kind = RUN_ERROR_EXIT_CODE;
                detail = describe_exit(exit_code, exit_status);
        } else if (streq_ptr(result, "signal")) {
                kind = RUN_ERROR_SIGNAL;
                detail = describe_signal("was killed", exit_code, exit_status);
        } else if (streq_ptr(result, "core-dump")) {
                kind = RUN_ERROR_CORE_DUMP;
                detail = describe_signal("was ended with a core dump", exit_code, exit_status);
        } else if (streq_ptr(result, "timeout")) {
                kind = RUN_ERROR_TIMEOUT;
                detail = strdup("did not end within its timeout");
        } else if (streq_ptr(result, "oom-kill")) {
                kind = RUN_ERROR_OOM_KILL;
                detail = strdup("was killed because memory ran out");
        } else if (streq_ptr(result, "resources")) {
                kind = RUN_ERROR_RESOURCES;
                detail = strdup("systemd could not start it: a resource was missing");
        } else {
                kind = RUN_ERROR_OTHER;
                detail = describe_other(result);
        }
        if (!detail)
                return -ENOMEM;
        *ret_kind = kind;
        *ret_detail = detail;
        return 0;
}
