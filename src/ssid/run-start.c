/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "loaded-unit.h"
#include "privilege.h"
#include "run-start.h"
#include "shared/bus-util.h"
#include "shared/log.h"
#include "shared/time-util.h"
#include "systemd-client.h"

#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

#define LOOK_FIRST_USEC (5 * USEC_PER_MSEC)
#define LOOK_LAST_USEC  (320 * USEC_PER_MSEC)
#define LOOK_FOR_USEC   (5 * USEC_PER_SEC)

struct RunStart {
        Agent *agent;
        run_start_done_t done;
        void *userdata;
        sd_bus_message *request; /* for run_start_for() */
        char *unit;
        LoadedUnit *look;
        sd_bus_slot *slot;
        SystemdQuery *query;
        sd_event_source *timer;
        uint64_t delay, until;
        struct RunStart *prev, *next;
};

RunStart *run_start_free(RunStart *s)
{
        if (!s)
                return NULL;
        DL_DELETE(s->agent->run_starts, s);
        loaded_unit_free(s->look);
        sd_bus_slot_unref(s->slot);
        systemd_query_free(s->query);
        sd_event_source_disable_unref(s->timer);
        sd_bus_message_unref(s->request);
        free(s->unit);
        free(s);
        return NULL;
}

static void answer(RunStart *s, const char *invocation_id)
{
        s->done(invocation_id, NULL, s->userdata);
        run_start_free(s);
}

static void ask(RunStart *s, const char *property, sd_bus_message_handler_t callback)
{
        if (systemd_query_unit_property(s->agent->queries, s->unit, UNIT_INTERFACE, property, callback, s, &s->query) <
            0)
                answer(s, "");
}

static int on_invocation(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        char id[SD_ID128_STRING_MAX] = "";
        RunStart *s = userdata;
        const void *bytes;
        sd_id128_t known;
        size_t n = 0;

        s->query = systemd_query_free(s->query);
        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_enter_container(reply, 'v', "ay") >= 0 &&
            sd_bus_message_read_array(reply, 'y', &bytes, &n) >= 0 && n == sizeof(known)) {
                memcpy(&known, bytes, n);
                if (!sd_id128_is_null(known))
                        sd_id128_to_string(known, id);
        }
        answer(s, id);
        return 0;
}

static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *error);

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        RunStart *s = userdata;

        s->timer = sd_event_source_disable_unref(s->timer);
        ask(s, "ActiveState", on_state);
        return 0;
}

static void look_later(RunStart *s)
{
        if (now_usec(CLOCK_MONOTONIC) >= s->until ||
            sd_event_add_time_relative(s->agent->event, &s->timer, CLOCK_MONOTONIC, s->delay, 0, on_time, s) < 0) {
                answer(s, "");
                return;
        }
        s->delay = MIN(s->delay * 2, LOOK_LAST_USEC);
}

/* Without a job, the run is over or never began. */
static int on_job(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        RunStart *s = userdata;
        uint32_t job = 0;

        s->query = systemd_query_free(s->query);
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "(uo)", &job, NULL);
        if (job > 0)
                look_later(s);
        else
                ask(s, "InvocationID", on_invocation);
        return 0;
}

static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        RunStart *s = userdata;
        const char *state = "";

        s->query = systemd_query_free(s->query);
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "s", &state);
        if (streq(state, "activating"))
                ask(s, "InvocationID", on_invocation);
        else if (streq(state, "inactive") || streq(state, "failed"))
                ask(s, "Job", on_job);
        else
                look_later(s);
        return 0;
}

static int on_started(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        RunStart *s = userdata;

        s->slot = sd_bus_slot_unref(s->slot);
        if (!e) {
                s->until = now_usec(CLOCK_MONOTONIC) + LOOK_FOR_USEC;
                ask(s, "ActiveState", on_state);
                return 0;
        }
        s->done(NULL, e, s->userdata);
        run_start_free(s);
        return 0;
}

static int start(RunStart *s)
{
        return systemd_call_async(s->agent->bus, "StartUnit", on_started, s, &s->slot, "ss", s->unit, "replace");
}

static RunStart *run_start_alloc(Agent *a, const char *unit, run_start_done_t done, void *userdata)
{
        RunStart *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->agent = a;
        s->done = done;
        s->userdata = userdata;
        s->delay = LOOK_FIRST_USEC;
        DL_APPEND(a->run_starts, s);
        s->unit = strdup(unit);
        return s->unit ? s : run_start_free(s);
}

int run_start_new(Agent *a, const char *unit, run_start_done_t done, void *userdata, RunStart **ret)
{
        RunStart *s = run_start_alloc(a, unit, done, userdata);
        int r;

        if (!s)
                return -ENOMEM;
        r = start(s);
        if (r < 0) {
                run_start_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

/* ---- For a request ---- */

static void answer_request(const char *invocation_id, const sd_bus_error *error, void *userdata)
{
        sd_bus_message *request = userdata;
        int r;

        if (invocation_id)
                r = sd_bus_reply_method_return(request, "s", invocation_id);
        else if (sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT))
                r = sd_bus_reply_method_errorf(
                        request, AGENT_ERROR_TIMED_OUT,
                        "systemd did not confirm that it started the service. Try again; \"systemctl status\" may say why.");
        else
                r = sd_bus_reply_method_errorf(
                        request, AGENT_ERROR_RUN_FAILED,
                        "systemd did not start it: %s \"systemctl status\" of its unit may say why.",
                        error->message ?: error->name);
        if (r < 0)
                log_warning_errno(r, "Cannot answer a request");
}

static void on_looked(const sd_bus_error *error, const char *why, bool stale, void *userdata)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        RunStart *s = userdata;
        int r;

        s->look = NULL;
        r = error || why ? 0 : start(s);
        if (!error && !why && r >= 0)
                return;
        if (why) {
                (void) privilege_refuse(why, &e);
                r = sd_bus_reply_method_error(s->request, &e);
                if (r < 0)
                        log_warning_errno(r, "Cannot answer a request");
        } else {
                if (!error)
                        sd_bus_error_set_errno(&e, r);
                s->done(NULL, error ?: &e, s->userdata);
        }
        run_start_free(s);
}

int run_start_for(Agent *a, const char *unit, bool privileged, sd_bus_message *request)
{
        RunStart *s = run_start_alloc(a, unit, answer_request, request);
        int r;

        if (!s)
                return -ENOMEM;
        s->request = sd_bus_message_ref(request);
        r = privileged ? start(s) : loaded_unit_look(a->bus, a->queries, unit, on_looked, s, &s->look);
        if (r < 0)
                run_start_free(s);
        return r;
}

void run_starts_free(Agent *a)
{
        RunStart *s, *tmp;

        /* If the run was started, the caller gets an answer, but without the ID. */
        DL_FOREACH_SAFE(a->run_starts, s, tmp)
                if (s->slot || s->look)
                        run_start_free(s);
                else
                        answer(s, "");
}
