/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "systemd-job.h"

#define LOOK_USEC (5 * USEC_PER_SEC)

struct SystemdJob {
        SystemdQueries *queries;
        char *unit, *job;
        uint64_t deadline; /* on the monotonic clock */
        systemd_job_done_t done;
        void *userdata;
        sd_event_source *timer;
        SystemdQuery *query;
        bool ended;
};

/* done() may free the SystemdJob. */
static void end(SystemdJob *j, int r)
{
        j->ended = true;
        j->timer = sd_event_source_disable_unref(j->timer);
        j->query = systemd_query_free(j->query);
        j->done(r, j->userdata);
}

static int on_job(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        SystemdJob *j = userdata;
        const char *job = "/";

        j->query = systemd_query_free(j->query);
        /* If the unit is gone or systemd does not answer, there is nothing to wait for. */
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "(uo)", NULL, &job);
        if (!streq(job, j->job))
                end(j, 0);
        return 0;
}

/* If a query is pending, its answer will come after the hint was sent. */
static int look(SystemdJob *j)
{
        if (j->query)
                return 0;
        return systemd_query_unit_property(j->queries, j->unit, "org.freedesktop.systemd1.Unit", "Job", on_job, j,
                                           &j->query);
}

static int on_time(sd_event_source *s, uint64_t usec, void *userdata)
{
        SystemdJob *j = userdata;
        int r = usec < j->deadline ? look(j) : -ETIMEDOUT;

        if (r >= 0)
                r = sd_event_source_set_time(s, MIN(usec + LOOK_USEC, j->deadline));
        if (r >= 0)
                r = sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        if (r < 0)
                end(j, r);
        return 0;
}

int systemd_job_new(sd_event *event, SystemdQueries *queries, const char *unit, const char *job, uint64_t timeout_usec,
                    systemd_job_done_t done, void *userdata, SystemdJob **ret)
{
        _cleanup_(systemd_job_freep) SystemdJob *j = NULL;
        uint64_t now;
        int r;

        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        *j = (SystemdJob){
                .queries = queries, .unit = strdup(unit), .job = strdup(job), .done = done, .userdata = userdata
        };
        if (!j->unit || !j->job)
                return -ENOMEM;
        r = sd_event_now(event, CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        j->deadline = now + timeout_usec;
        r = sd_event_add_time(event, &j->timer, CLOCK_MONOTONIC, now + MIN(LOOK_USEC, timeout_usec), 0, on_time, j);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

SystemdJob *systemd_job_free(SystemdJob *j)
{
        if (!j)
                return NULL;
        sd_event_source_disable_unref(j->timer);
        systemd_query_free(j->query);
        free(j->unit);
        free(j->job);
        free(j);
        return NULL;
}

void systemd_job_hint(SystemdJob *j, const char *job)
{
        int r;

        if (!j || j->ended || !streq(j->job, job))
                return;
        r = look(j);
        if (r < 0)
                end(j, r);
}
