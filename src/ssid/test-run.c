/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <utlist.h>

#include "shared/bus-owner.h"
#include "shared/bus-util.h"
#include "shared/journal/follow.h"
#include "shared/log.h"
#include "agent.h"
#include "privilege.h"
#include "systemd-client.h"
#include "systemd-job.h"
#include "test-run.h"
#include "tried-script.h"
#include "unit-file.h"
#include "validate.h"

#define OUTPUT_LINES_MAX 1000U
#define OUTPUT_BYTES_MAX (256U * 1024U)
#define LINE_BYTES_MAX   4096U

/* Lines may reach the journal after the end of their run. */
#define QUIET_USEC (100 * USEC_PER_MSEC)
/* How long to wait for the journal to show the result of a run that has ended. */
#define RESULT_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* How long after its timeout the unit may still exist: systemd waits for TimeoutStopSec= twice, and has other work. */
#define GRACE_USEC (30 * USEC_PER_SEC)

struct TestRun {
        Agent *agent;
        sd_bus_message *request;
        BusOwner *caller;
        TriedScript script;
        char *content;
        Validation *validation;

        char *unit;
        sd_bus_slot *starting; /* pending until systemd has answered */
        uint64_t timeout_usec; /* the script's timeout */
        SystemdJob *job;       /* the job that runs the script */
        bool started, ended, abandoned;
        uid_t uid;       /* of the caller */
        bool privileged; /* it may run with any drop-ins */

        JournalFollow *follow;
        sd_event_source *answer_timer;
        RunEvent result;         /* its cursor is set once it has come */
        int exit_status, signal; /* negative if unknown */
        char *output[OUTPUT_LINES_MAX + 1];
        size_t n_output, output_bytes;
        bool output_cut;

        struct TestRun *prev, *next;
};

static TestRun *test_run_free(TestRun *t)
{
        if (!t)
                return NULL;
        journal_follow_free(t->follow);
        sd_event_source_disable_unref(t->answer_timer);
        sd_bus_slot_unref(t->starting);
        systemd_job_free(t->job);
        bus_owner_free(t->caller);
        validation_free(t->validation);
        tried_script_done(&t->script);
        sd_bus_message_unref(t->request);
        run_event_done(&t->result);
        for (size_t i = 0; i < t->n_output; i++)
                free(t->output[i]);
        free(t->content);
        free(t->unit);
        free(t);
        return NULL;
}
DEFINE_CLEANUP(TestRun *, test_run_free);

static void test_run_end(TestRun *t)
{
        DL_DELETE(t->agent->tests, t);
        test_run_free(t);
}

/* Ends the test and, if there is one, the unit. */
static void test_run_stop(TestRun *t)
{
        if (t->started && !t->ended) {
                int r = systemd_call_no_reply(t->agent->bus, "StopUnit", "ss", t->unit, "replace");

                if (r < 0)
                        log_warning_errno(r, "Cannot stop %s", t->unit);
        }
        test_run_end(t);
}

static void test_run_fail(TestRun *t, const char *name, const char *text)
{
        int r = sd_bus_reply_method_errorf(t->request, name, "%s", text);

        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
        test_run_stop(t);
}

static void test_run_fail_errno(TestRun *t, int error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;

        sd_bus_error_setf(&e, AGENT_ERROR_TEST_FAILED, "Cannot test the script: %s", strerror(-error));
        test_run_fail(t, e.name, e.message);
}

/* ---- The answer ---- */

static int append_output(sd_bus_message *m, TestRun *t)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "output");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, t->output);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_run(sd_bus_message *m, TestRun *t)
{
        const RunEvent *e = &t->result;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && e->error != RUN_ERROR_NONE)
                r = sd_bus_message_append(m, "{sv}{sv}", "error", "s", run_error_kind_to_string(e->error), "detail",
                                          "s", strempty(e->detail));
        if (r >= 0 && e->duration != USEC_INFINITY)
                r = sd_bus_message_append(m, "{sv}", "duration_usec", "t", e->duration);
        if (r >= 0 && t->exit_status >= 0)
                r = sd_bus_message_append(m, "{sv}", "exit_status", "i", t->exit_status);
        if (r >= 0 && t->signal >= 0)
                r = sd_bus_message_append(m, "{sv}", "signal", "i", t->signal);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "output_cut", "b", t->output_cut);
        if (r >= 0)
                r = append_output(m, t);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int send_answer(TestRun *t)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const RunEvent *e = &t->result;
        int r;

        r = sd_bus_message_new_method_return(t->request, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "ss", strempty(status_to_string(e->status)), strempty(e->message));
        if (r < 0)
                return r;
        r = append_run(reply, t);
        if (r < 0)
                return r;
        return sd_bus_message_send(reply);
}

static int on_answer(sd_event_source *s, uint64_t usec, void *userdata)
{
        TestRun *t = userdata;
        int r;

        if (!t->result.cursor) {
                test_run_fail(t, AGENT_ERROR_TEST_FAILED,
                              "The script has run, but the journal does not say how it ended.");
                return 0;
        }
        r = send_answer(t);
        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
        test_run_end(t);
        return 0;
}

static int schedule_answer(TestRun *t)
{
        uint64_t delay = t->result.cursor ? QUIET_USEC : RESULT_TIMEOUT_USEC;
        int r;

        if (!t->ended)
                return 0;
        if (!t->answer_timer)
                return sd_event_add_time_relative(t->agent->event, &t->answer_timer, CLOCK_MONOTONIC, delay, 0,
                                                  on_answer, t);
        r = sd_event_source_set_time_relative(t->answer_timer, delay);
        return r < 0 ? r : sd_event_source_set_enabled(t->answer_timer, SD_EVENT_ONESHOT);
}

/* systemd has finished the job, or should have. */
static void on_job_done(int r, void *userdata)
{
        TestRun *t = userdata;

        t->job = systemd_job_free(t->job);
        if (r == -ETIMEDOUT) {
                test_run_fail(
                        t, AGENT_ERROR_TIMED_OUT,
                        "The script has not ended, though its timeout has passed. Try again; \"journalctl -b _PID=1\" may "
                        "say why systemd does not end it.");
                return;
        }
        t->ended = r >= 0;
        if (r >= 0)
                r = schedule_answer(t);
        if (r < 0)
                test_run_fail_errno(t, r);
}

void test_runs_job_hint(Agent *a, const char *job)
{
        TestRun *t, *tmp;

        DL_FOREACH_SAFE(a->tests, t, tmp)
                systemd_job_hint(t->job, job);
}

/* ---- Results from the journal ---- */

static void add_line(TestRun *t, const RunEntry *e)
{
        char *line;
        bool cut = false;

        if (t->n_output >= OUTPUT_LINES_MAX || t->output_bytes >= OUTPUT_BYTES_MAX) {
                t->output_cut = true;
                return;
        }
        line = utf8_sanitize(e->text, e->length, LINE_BYTES_MAX, &cut);
        if (!line || tried_script_use_own_name(&t->script, &line) < 0) {
                free(line);
                cut = true;
        } else {
                t->output[t->n_output++] = line;
                t->output_bytes += strlen(line);
        }
        t->output_cut = t->output_cut || cut;
}

static void on_entry(const RunEntry *e, void *userdata)
{
        TestRun *t = userdata;

        switch (e->type) {
        case RUN_ENTRY_LINE:
                add_line(t, e);
                break;
        case RUN_ENTRY_EXIT:
                if (streq_ptr(e->exit_code, "exited"))
                        t->exit_status = e->exit_status;
                else
                        t->signal = e->exit_status;
                break;
        case RUN_ENTRY_SUCCESS:
                t->exit_status = 0;
                break;
        default:
                break;
        }
}

/* A late line may correct the result: the last event counts. */
static int on_event(RunEvent *e, void *userdata)
{
        TestRun *t = userdata;
        int r;

        run_event_done(&t->result);
        t->result = *e;
        *e = RUN_EVENT_INIT;
        if ((r = tried_script_use_own_name(&t->script, &t->result.message)) < 0 ||
            (r = tried_script_use_own_name(&t->script, &t->result.detail)) < 0)
                return r;
        return schedule_answer(t);
}

static void on_follow_failed(int error, void *userdata)
{
        test_run_fail_errno(userdata, error);
}

static const JournalFollowOps follow_ops = {
        .event = on_event,
        .entry = on_entry,
        .failed = on_follow_failed,
};

static int follow(TestRun *t)
{
        int r;

        r = journal_follow_new(t->agent->event, &follow_ops, t, &t->follow);
        if (r < 0)
                return r;
        r = journal_follow_set_unit(t->follow, t->unit);
        if (r < 0)
                return r;
        return journal_follow_start(t->follow, NULL, 0);
}

/* ---- Starting ---- */

static int prepare(TestRun *t, const char *slug)
{
        char id[SD_ID128_STRING_MAX];
        sd_id128_t random;
        int r;

        r = sd_id128_randomize(&random);
        if (r < 0)
                return r;
        sd_id128_to_string(random, id);
        /* The underscore makes sure that no service has this name. */
        if (asprintf(&t->unit, "ssi_test_%s.service", id) < 0)
                return -ENOMEM;
        return tried_script_write(&t->script, id, slug, t->content);
}

static int on_started(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        TestRun *t = userdata;
        const char *job;
        int r;

        t->starting = sd_bus_slot_unref(t->starting);
        if (e) {
                test_run_fail(t, AGENT_ERROR_TEST_FAILED, e->message ?: e->name);
                return 0;
        }
        t->started = true;
        if (t->abandoned) {
                test_run_stop(t);
                return 0;
        }
        r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0)
                r = systemd_job_new(t->agent->event, t->agent->queries, t->unit, job, t->timeout_usec + GRACE_USEC,
                                    on_job_done, t, &t->job);
        if (r >= 0)
                r = follow(t);
        if (r < 0)
                test_run_fail_errno(t, r);
        return 0;
}

static int start_unit(TestRun *t, const Verdict *verdict)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        const UnitSpec spec = {
                .metadata = verdict->metadata,
                .timeout_usec = verdict->timeout_usec,
                .test_path = t->script.path,
        };
        sd_bus *bus = t->agent->bus;
        int r;

        t->timeout_usec = verdict->timeout_usec;
        r = systemd_new_call(bus, "StartTransientUnit", &call);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "ss", t->unit, "fail");
        if (r < 0)
                return r;
        r = unit_file_append_properties(&spec, call);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "a(sa(sv))", 0);
        if (r < 0)
                return r;
        return systemd_send_async(bus, call, on_started, t, &t->starting);
}

/* The check has taken its time, and systemd reads the drop-ins only now. 1 when it is refused. */
static int check_privilege(TestRun *t, const Metadata *m)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = t->privileged ? 0 : privilege_to_test(m, &why);
        if (r <= 0)
                return r;
        (void) privilege_refuse(why ?: "the script's header asks for it", &error);
        test_run_fail(t, error.name, error.message);
        return 1;
}

static void on_validated(int r, Verdict *verdict, void *userdata)
{
        TestRun *t = userdata;

        t->validation = NULL;
        if (r >= 0 && verdict->metadata->n_errors > 0) {
                _cleanup_free_ char *problems = metadata_format_problems(verdict->metadata, t->script.filename);

                test_run_fail(t, AGENT_ERROR_INVALID_SCRIPT, strempty(problems));
                return;
        }
        if (r >= 0)
                r = check_privilege(t, verdict->metadata);
        if (r > 0)
                return;
        if (r >= 0)
                r = prepare(t, verdict->metadata->slug);
        if (r >= 0)
                r = start_unit(t, verdict);
        if (r < 0)
                test_run_fail_errno(t, r);
}

/* The caller is gone, so nobody waits for the result. */
static void on_caller(const char *owner, void *userdata)
{
        TestRun *t = userdata;

        if (owner)
                return;
        if (t->starting)
                t->abandoned = true;
        else
                test_run_stop(t);
}

int test_run_start(Agent *a, sd_bus_message *request, const char *filename, const char *content,
                   Metadata *metadata_taken, bool privileged, sd_bus_error *error)
{
        _cleanup_(metadata_freep) Metadata *metadata = metadata_taken;
        _cleanup_(test_run_freep) TestRun *t = NULL;
        uid_t uid;
        int r;

        r = polkit_sender_uid(a->polkit, request, &uid);
        if (r < 0)
                return r;
        if (!list_has_room(a->tests, uid, TEST_RUNS_MAX, TEST_RUNS_PER_USER_MAX))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many scripts are being tested; try again in a moment.");
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->agent = a;
        t->uid = uid;
        t->privileged = privileged;
        t->result = RUN_EVENT_INIT;
        t->exit_status = t->signal = -1;
        t->request = sd_bus_message_ref(request);
        t->script.filename = strdup(filename);
        t->content = strdup(content);
        if (!t->script.filename || !t->content)
                return -ENOMEM;
        r = bus_owner_new(a->bus, sd_bus_message_get_sender(request), on_caller, t, &t->caller);
        if (r < 0)
                return r;
        r = validation_start(a->helpers, uid, TAKE_PTR(metadata), content, strlen(content), true, on_validated, t,
                             &t->validation);
        if (r < 0)
                return r;
        DL_APPEND(a->tests, t);
        TAKE_PTR(t);
        return 0;
}

void test_runs_abandon(Agent *a)
{
        while (a->tests)
                test_run_stop(a->tests);
}
