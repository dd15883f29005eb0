/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operation-internal.h"
#include "systemd-client.h"

/* Steps that wait until systemd has finished its job for the timer. ActiveState then tells the result. */

#define TIMEOUT_USEC (90 * USEC_PER_SEC)

static void fail(Operation *o, const char *what)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;

        sd_bus_error_setf(&e, SD_BUS_ERROR_FAILED, "systemd's job for %s %s", o->timer, what);
        operation_fail_systemd(o, &e);
}

static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const char *state = "inactive";
        Operation *o = userdata;

        o->query = systemd_query_free(o->query);
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "s", &state);
        if (o->job_starts && !streq(state, "active"))
                fail(o, "did not start it");
        else if (!o->job_starts && !streq(state, "inactive") && !streq(state, "failed"))
                fail(o, "did not stop it");
        else
                operation_continue(o);
        return 0;
}

static void on_done(int r, void *userdata)
{
        Operation *o = userdata;

        o->job = systemd_job_free(o->job);
        if (r >= 0)
                r = systemd_query_unit_property(o->agent->queries, o->timer, "org.freedesktop.systemd1.Unit",
                                                "ActiveState", on_state, o, &o->query);
        if (r == -ETIMEDOUT)
                fail(o, "did not finish within 90 seconds");
        else if (r < 0)
                operation_fail_errno(o, r);
}

/* The job cannot end before this answer: systemd runs its jobs from its own event loop. */
static int on_job_queued(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Operation *o = userdata;
        const char *job;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                return operation_on_step_reply(reply, userdata, ret_error);
        o->slot = sd_bus_slot_unref(o->slot);
        r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0)
                r = systemd_job_new(o->agent->event, o->agent->queries, o->timer, job, TIMEOUT_USEC, on_done, o,
                                    &o->job);
        if (r < 0)
                operation_fail_errno(o, r);
        return 0;
}

/* Only the first operation is in progress. */
void operation_job_hint(Agent *a, const char *job)
{
        if (a->operations)
                systemd_job_hint(a->operations->job, job);
}

static int call(Operation *o, const char *member, bool starts)
{
        o->job_starts = starts;
        return systemd_call_async(o->agent->bus, member, on_job_queued, o, &o->slot, "ss", o->timer, "replace");
}

/* Restarts the timer, because a replaced timer would otherwise keep its old schedule. Waits, because the next elapse
 * is not known earlier. */
int step_start_timer(Operation *o)
{
        return call(o, "RestartUnit", true);
}

int step_start_stopped_timer(Operation *o)
{
        return call(o, "StartUnit", true);
}

int step_stop_timer_and_wait(Operation *o)
{
        return call(o, "StopUnit", false);
}
