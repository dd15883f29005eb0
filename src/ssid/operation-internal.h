/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by operation-*.c: one change and its steps. */

#include "fileset.h"
#include "loaded-unit.h"
#include "operation.h"
#include "run-start.h"
#include "service.h"
#include "systemd-job.h"
#include "subprocess.h"
#include "validate.h"

/* A step sends one call and returns 0: the next step follows when the answer comes. Returns 1 if the next step
 * follows at once. If it returns a negative errno, the operation fails. The last step answers the request, calls
 * operation_finish() and returns 0. */
typedef int (*step_t)(Operation *o);

typedef struct OperationKind {
        const char *verb;       /* for people: "install" */
        const char *error_name; /* of the D-Bus error when a step fails */
        const step_t *steps;    /* ends with NULL */

        /* Called when a step has failed, with o->error set. If there is something to undo, sets o->steps to the
         * steps that do this, of which the last answers the request, and returns true; otherwise returns false.
         * Optional. */
        bool (*undo)(Operation *o);
} OperationKind;

struct Operation {
        Agent *agent;
        const OperationKind *kind;
        sd_bus_message *request;
        uid_t uid; /* who has sent it */
        char *slug, *unit, *timer;
        const step_t *steps; /* the next one is the first */
        bool reloaded;       /* systemd has read the changed files */
        bool changed;        /* files were written, or links made */
        bool undoing, undo_failed;
        const char *advice; /* after a failure: what a person can do */
        sd_bus_error error; /* the answer to the request */
        sd_bus_slot *slot;
        SystemdQuery *query;
        SystemdJob *job; /* its end leads to the next step */
        bool job_starts; /* the job starts the timer */
        sd_event_source *defer;
        bool existed;     /* the service was already installed */
        bool unchanged;   /* and the new files are identical */
        bool was_enabled; /* its timer was enabled */
        bool privileged;  /* it may run whatever systemd has loaded */
        LoadedUnit *look;
        bool look_reloaded; /* systemd has read the files again, for a look */
        Fileset *fileset;
        uint64_t next_run;
        uint64_t timeout; /* 0 if systemd did not tell */

        /* For an addition: */
        char *filename, *content;
        Metadata *metadata;
        AddOptions options;
        Validation *validation;
        RunStart *run_start;
        char invocation_id[SD_ID128_STRING_MAX]; /* of the run; "" if there is none or its ID is unknown */

        /* For a check of the units: */
        Subprocess *process;
        char *asked; /* the slug of the service that it is about */
        uint64_t zone_minutes;
        size_t n_changed, n_rewritten; /* timers; service units */

        Operation *prev, *next;
};

int operation_new(Agent *a, const OperationKind *kind, sd_bus_message *request, const char *slug, sd_bus_error *error,
                  Operation **ret);
DEFINE_CLEANUP(Operation *, operation_free);
/* Takes the operation; it begins when earlier operations have ended. */
void operation_enqueue(Operation *o_taken);
void operation_continue(Operation *o);
/* The same as operation_continue(), but from the event loop. */
void operation_schedule(Operation *o);
void operation_finish(Operation *o);
/* Fails with text and, for a person, advice. */
void operation_fail(Operation *o, const sd_bus_error *error, const char *advice);
/* Answers with o->error and ends the operation. */
void operation_refuse(Operation *o);
void operation_fail_errno(Operation *o, int error);
void operation_fail_systemd(Operation *o, const sd_bus_error *error);
/* Handles the answer to a step's call. */
int operation_on_step_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error);
/* For an undo: rolls back the files. */
void operation_restore_files(Operation *o);
/* The last step of an undo: answers with the failure and tells what has become of the service. */
int step_undone(Operation *o);

/* Steps shared by several kinds of operations. */
int step_reload(Operation *o);
/* In the table it follows step_reload, to which it goes back when files have changed since. */
int step_look(Operation *o);
int step_enable(Operation *o);
int step_disable(Operation *o);
int step_stop_timer(Operation *o);
int step_clean_timer(Operation *o);
int step_stop_service(Operation *o);
int step_get_next_run(Operation *o);
int step_get_timeout(Operation *o);

/* operation-job.c: steps that wait until systemd has finished the job. */
int step_start_timer(Operation *o);
int step_start_stopped_timer(Operation *o);
int step_stop_timer_and_wait(Operation *o);
