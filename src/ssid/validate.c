/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <time.h>

#include "command-check.h"
#include "schedule.h"
#include "shared/time-util.h"
#include "validate.h"

#define BASH   "/bin/bash"
#define GETENT "/usr/bin/getent"

/* The exit status of getent(1). */
#define EXIT_NO_SUCH_KEY 2

#define TIMEOUT_MAX_USEC      (24 * 60 * 60 * USEC_PER_SEC)
#define RANDOM_DELAY_MAX_USEC (30 * USEC_PER_SEC)
#define RANDOM_DELAY_DIVISOR  20

/* Between two slices of the commands' check. A user other than root rests as after other calls (docs/adr/0051). */
#define PAUSE_USEC (1 * USEC_PER_MSEC)
#define REST       3U

typedef enum Step {
        STEP_COMMANDS,
        STEP_SCHEDULE,
        STEP_TIMEOUT,
        STEP_USER,
        STEP_SYNTAX,
        STEP_COUNT,
} Step;

struct Validation {
        Helpers *helpers;
        uid_t uid;
        char *content;
        size_t n_content;
        bool runs_here;
        Step step;
        Verdict verdict;
        CommandCheck *commands;
        Subprocess *process;
        sd_event_source *pause, *defer;
        int result;
        validation_done_t done;
        void *userdata;
};

static void next_step(Validation *v);

Validation *validation_free(Validation *v)
{
        if (!v)
                return NULL;
        command_check_free(v->commands);
        subprocess_free(v->process);
        sd_event_source_disable_unref(v->pause);
        sd_event_source_disable_unref(v->defer);
        metadata_free(v->verdict.metadata);
        free(v->verdict.normalized);
        free(v->content);
        free(v);
        return NULL;
}

static int on_finish(sd_event_source *s, void *userdata)
{
        _cleanup_(validation_freep) Validation *v = userdata;

        v->done(v->result, &v->verdict, v->userdata);
        return 0;
}

/* Finishes from the event loop, so that the caller of validation_start() has its pointer before it gets the result. */
static int finish(Validation *v, int r)
{
        v->result = r;
        return sd_event_add_defer(helpers_event(v->helpers), &v->defer, on_finish, v);
}

/* Uses the first line of the helper's output. */
static int add_helper_problem(Validation *v, MetadataKey key, const char *what, const char *output)
{
        size_t n = strcspn(output, "\n");
        const Metadata *m = v->verdict.metadata;

        return metadata_add_problem(v->verdict.metadata, m->line[key], false, "\"%s\" is not %s: \"%s\" (%.*s)",
                                    metadata_key_to_string(key), what, m->value[key], (int) MIN(n, 200U), output);
}

static int judge_schedule(Validation *v, int status, const char *output)
{
        uint64_t interval;
        int r;

        if (status != 0)
                return add_helper_problem(v, METADATA_SCHEDULE, "a systemd calendar expression (systemd.time(7))",
                                          output);
        r = schedule_read_normalized(output, &v->verdict.normalized);
        if (r < 0 && r != -ENODATA)
                return r;
        if (strstr(output, "Next elapse: never"))
                return metadata_add_problem(v->verdict.metadata, v->verdict.metadata->line[METADATA_SCHEDULE], true,
                                            "the schedule never elapses again; the script runs only on request");
        if (schedule_read_interval(output, &interval))
                v->verdict.random_delay_usec = MIN(interval / RANDOM_DELAY_DIVISOR, RANDOM_DELAY_MAX_USEC);
        return 0;
}

static int judge_timeout(Validation *v, int status, const char *output)
{
        Metadata *m = v->verdict.metadata;
        uint64_t usec = 0;
        const char *s;

        if (status != 0)
                return add_helper_problem(v, METADATA_TIMEOUT, "a systemd time span (systemd.time(7))", output);
        s = strstr(output, "s: ");
        if (!s || sscanf(s + 3, "%" SCNu64, &usec) != 1 || usec == 0 || usec > TIMEOUT_MAX_USEC)
                return metadata_add_problem(m, m->line[METADATA_TIMEOUT], false,
                                            "\"timeout\" must be greater than zero and at most one day");
        v->verdict.timeout_usec = usec;
        return 0;
}

/* If getent is missing or fails, systemd will report the problem. */
static int judge_user(Validation *v, int status, const char *output)
{
        Metadata *m = v->verdict.metadata;

        if (status != EXIT_NO_SUCH_KEY)
                return 0;
        return metadata_add_problem(m, m->line[METADATA_USER], !v->runs_here,
                                    "\"user\" does not exist on this host: \"%s\"", m->value[METADATA_USER]);
}

/* `bash -n` prints "bash: line 7: syntax error …". */
static int judge_syntax(Validation *v, int status, const char *output)
{
        const char *s = strstr(output, "line ");
        size_t n;
        unsigned line = 1;
        const char *text = output;

        if (status == 0)
                return 0;
        /* By its limit. A script of which it keeps so much at once is a single command of a megabyte. */
        if (strstr(output, "cannot allocate"))
                return metadata_add_problem(
                        v->verdict.metadata, 1, false,
                        "Bash takes too much memory to read the script; let it call a program that holds the rest");
        if (s && sscanf(s, "line %u", &line) == 1 && (s = strstr(s, ": ")))
                text = s + 2;
        n = strcspn(text, "\n");
        return metadata_add_problem(v->verdict.metadata, line, false, "%.*s", (int) MIN(n, 200U), text);
}

static void on_helper(int status, const char *output, void *userdata)
{
        static int (*const judge[STEP_COUNT])(Validation * v, int status, const char *output) = {
                [STEP_SCHEDULE] = judge_schedule,
                [STEP_TIMEOUT] = judge_timeout,
                [STEP_USER] = judge_user,
                [STEP_SYNTAX] = judge_syntax,
        };
        Validation *v = userdata;
        int r;

        v->process = NULL;
        /* 127: the helper could not be executed, which says nothing about the script. */
        if (status < 0 && v->step != STEP_USER)
                r = status;
        else if (status == 127 && v->step != STEP_USER)
                r = -ENOENT;
        else
                r = judge[v->step](v, status, output);
        if (r < 0) {
                if (finish(v, r) < 0)
                        sd_event_exit(helpers_event(v->helpers), r);
                return;
        }
        v->step++;
        next_step(v);
}

static int on_pause(sd_event_source *s, uint64_t usec, void *userdata)
{
        Validation *v = userdata;

        v->pause = sd_event_source_disable_unref(v->pause);
        next_step(v);
        return 0;
}

/* 1 when they have been checked. */
static int check_commands(Validation *v)
{
        uint64_t begun = now_usec(CLOCK_MONOTONIC), pause = PAUSE_USEC;
        int r;

        r = command_check_read(v->commands, v->verdict.metadata);
        if (r != 0)
                return r;
        if (v->uid != 0)
                pause = MAX(pause, REST * (now_usec(CLOCK_MONOTONIC) - begun));
        return sd_event_add_time_relative(helpers_event(v->helpers), &v->pause, CLOCK_MONOTONIC, pause, 1, on_pause, v);
}

static void next_step(Validation *v)
{
        Metadata *m = v->verdict.metadata;
        const char *schedule[] = {
                SYSTEMD_ANALYZE, "calendar", "--iterations=2", "--", m->value[METADATA_SCHEDULE], NULL
        };
        const char *timeout[] = { SYSTEMD_ANALYZE, "timespan", "--", m->value[METADATA_TIMEOUT], NULL };
        const char *user[] = { GETENT, "passwd", "--", m->value[METADATA_USER], NULL };
        static const char *const syntax[] = { BASH, "--norc", "--noprofile", "-n", NULL };
        int r = 0;

        if (v->step == STEP_COMMANDS && (r = check_commands(v)) > 0)
                v->step++;
        if (v->step == STEP_SCHEDULE && !m->value[METADATA_SCHEDULE])
                v->step++;
        if (v->step == STEP_TIMEOUT && !m->value[METADATA_TIMEOUT])
                v->step++;
        if (v->step == STEP_USER && !m->value[METADATA_USER])
                v->step++;
        switch (v->step) {
        case STEP_COMMANDS:
                break;
        case STEP_SCHEDULE:
                r = subprocess_start(v->helpers, v->uid, schedule, NULL, 0, on_helper, v, &v->process);
                break;
        case STEP_TIMEOUT:
                r = subprocess_start(v->helpers, v->uid, timeout, NULL, 0, on_helper, v, &v->process);
                break;
        case STEP_USER:
                r = subprocess_start(v->helpers, v->uid, user, NULL, 0, on_helper, v, &v->process);
                break;
        case STEP_SYNTAX:
                r = subprocess_start(v->helpers, v->uid, syntax, v->content, v->n_content, on_helper, v, &v->process);
                break;
        default:
                r = finish(v, 0);
                break;
        }
        if (r < 0 && finish(v, r) < 0)
                sd_event_exit(helpers_event(v->helpers), r);
}

int validation_start(Helpers *helpers, uid_t uid, Metadata *metadata_taken, const char *content, size_t n,
                     bool runs_here, validation_done_t done, void *userdata, Validation **ret)
{
        _cleanup_(metadata_freep) Metadata *metadata = metadata_taken;
        _cleanup_(validation_freep) Validation *v = NULL;
        int r;

        v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        v->content = malloc(n + 1);
        if (!v->content)
                return -ENOMEM;
        memcpy(v->content, content, n);
        v->content[n] = '\0';
        v->n_content = n;
        v->helpers = helpers;
        v->uid = uid;
        v->runs_here = runs_here;
        v->done = done;
        v->userdata = userdata;
        r = command_check_new(v->content, n, &v->commands);
        if (r < 0)
                return r;
        v->verdict.metadata = TAKE_PTR(metadata);
        next_step(v);
        *ret = TAKE_PTR(v);
        return 0;
}
