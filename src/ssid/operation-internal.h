/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files operation-*.c share: one change and its steps. */

#include "fileset.h"
#include "operation.h"
#include "run-start.h"
#include "service.h"
#include "systemd-job.h"
#include "subprocess.h"
#include "validate.h"

/* A step sends one call and returns 0: the answer leads to the next. 1: the next one follows at once. Negative errno:
 * the operation fails. The last step answers the request and calls operation_finish(), returning 0. */
typedef int (*step_t)(Operation *o);

typedef struct OperationKind {
        const char *verb;       /* for people: "install" */
        const char *error_name; /* of the D-Bus error when a step fails */
        const step_t *steps;    /* ends with NULL */

        /* Called when a step has failed, with the error set: sets o->steps to what puts things back and ends with a step
         * that answers, and returns true; or false when there is nothing to put back. Optional. */
        bool (*undo)(Operation *o);
} OperationKind;

struct Operation {
        Agent *agent;
        const OperationKind *kind;
        sd_bus_message *request;
        char *slug, *unit, *timer;
        const step_t *steps; /* the next one first */
        bool reloaded;       /* systemd has read the changed files */
        bool undoing, undo_failed;
        const char *advice; /* after a failure: what a person can do */
        sd_bus_error error; /* what the request is answered with */
        sd_bus_slot *slot;
        SystemdQuery *query;
        SystemdJob *job; /* whose end leads to the next step */
        bool job_starts; /* it starts the timer */
        sd_event_source *defer;
        bool existed;     /* the service was installed before */
        bool unchanged;   /* and is to be just what it is */
        bool was_enabled; /* its timer was */
        Fileset *fileset;
        uint64_t next_run;
        uint64_t timeout; /* 0 when systemd did not tell */

        /* For an add. */
        char *filename, *content;
        Metadata *metadata;
        AddOptions options;
        Validation *validation;
        RunStart *run_start;
        char invocation_id[SD_ID128_STRING_MAX]; /* of the run; "" for none, or when it cannot be told */

        /* For a look at the timers. */
        Subprocess *process;
        char *asked; /* slug of the service that it asks for */
        uint64_t zone_minutes;
        size_t n_changed;

        Operation *prev, *next;
};

int operation_new(Agent *a, const OperationKind *kind, sd_bus_message *request, const char *slug, sd_bus_error *error,
                  Operation **ret);
DEFINE_CLEANUP(Operation *, operation_free);
/* Takes the operation; it begins when those before it have ended. */
void operation_enqueue(Operation *o_taken);
void operation_continue(Operation *o);
/* The same, but when the loop comes to it. */
void operation_schedule(Operation *o);
void operation_finish(Operation *o);
/* Answers with o->error and ends. */
void operation_refuse(Operation *o);
void operation_fail_errno(Operation *o, int error);
void operation_fail_systemd(Operation *o, const sd_bus_error *error);
/* The answer to a call that is a step. */
int operation_on_step_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error);
/* For an undo: rolls back. */
void operation_restore_files(Operation *o);
/* Of an undo, its last: tells the failure and what has become of the service. */
int step_undone(Operation *o);

/* Steps that several kinds share. */
int step_reload(Operation *o);
int step_enable(Operation *o);
int step_disable(Operation *o);
int step_stop_timer(Operation *o);
int step_clean_timer(Operation *o);
int step_stop_service(Operation *o);
int step_get_next_run(Operation *o);
int step_get_timeout(Operation *o);

/* operation-job.c: steps that wait until systemd has done the job. */
int step_start_timer(Operation *o);
int step_start_stopped_timer(Operation *o);
int step_stop_timer_and_wait(Operation *o);
