/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "loop/uv-loop-internal.h"
#include "loop/worker.h"

typedef struct Job {
        uv_work_t request;
        UvBridge *bridge;
        void (*work)(void *userdata);
        void (*done)(void *userdata);
        void *userdata;
} Job;

static void job_work(uv_work_t *request)
{
        Job *j = request->data;

        j->work(j->userdata);
}

static void job_done(uv_work_t *request, int status)
{
        Job *j = request->data;

        j->bridge->jobs--;
        j->done(j->userdata);
        free(j);
}

int worker_run(UvBridge *u, void (*work)(void *userdata), void (*done)(void *userdata), void *userdata)
{
        Job *j;
        int r;

        if (u->jobs >= WORKER_JOBS_MAX)
                return -EBUSY;
        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        *j = (Job){ .bridge = u, .work = work, .done = done, .userdata = userdata };
        j->request.data = j;
        r = uv_queue_work(&u->loop, &j->request, job_work, job_done);
        if (r < 0) {
                free(j);
                return r;
        }
        u->jobs++;
        uv_bridge_kick(u);
        return 0;
}
