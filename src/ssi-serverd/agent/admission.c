/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "agent/session-internal.h"
#include "http/rate-limit.h"
#include "shared/time-util.h"

/* Each key that is tried costs the database a row. Failures are counted by network, together with those of REST. Sessions from a
 * network over its limit wait for their turn instead of being refused: others behind the same address may mean well. Those that
 * have authenticated with the same key here before do not wait at all. */

#define HELD_SECONDS_MAX 10 /* an agent waits for 20 s */
#define HELD_MAX         1024
#define TICK_USEC        (250 * USEC_PER_MSEC)

void agent_session_begin_admission(AgentSession *s)
{
        s->proven = proven_has(s->owner->proven, s->auth.agent_id, s->auth.api_key);
}

void agent_session_end_admission(AgentSession *s, const char *agent_id, bool valid)
{
        AgentSessions *a = s->owner;

        if (valid)
                proven_add(a->proven, agent_id, s->auth.api_key);
        else {
                if (s->proven)
                        proven_remove(a->proven, agent_id, s->auth.api_key);
                if (a->backend->refusals)
                        rate_limit_count(a->backend->refusals, s->network, now_usec(CLOCK_MONOTONIC));
        }
}

/* ---- Waiting ---- */

static int arm(AgentSessions *a);

/* In the order in which they came, and no more than may fail. */
static void release(AgentSessions *a)
{
        AgentSession *s, *tmp;

        DL_FOREACH_SAFE2(a->auth_held, s, tmp, auth_next)
        {
                if (rate_limit_check(a->backend->refusals, s->network, agent_sessions_count_under_way(a, s->network),
                                     now_usec(CLOCK_MONOTONIC)) > 0)
                        continue;
                agent_session_leave_queue(s);
                s->released = true;
                agent_session_enqueue(s, &a->auth_queue);
        }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        AgentSessions *a = userdata;

        release(a);
        if (a->auth_held)
                (void) arm(a);
        agent_sessions_authenticate_next(a);
        return 0;
}

static int arm(AgentSessions *a)
{
        int r;

        if (!a->held_timer)
                return sd_event_add_time_relative(a->backend->event, &a->held_timer, CLOCK_MONOTONIC, TICK_USEC, 0,
                                                  on_tick, a);
        r = sd_event_source_set_time_relative(a->held_timer, TICK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(a->held_timer, SD_EVENT_ONESHOT);
}

/* How long it would wait; USEC_INFINITY if there is no more room. */
static uint64_t seconds_to_wait(const AgentSession *s, uint64_t now)
{
        const AgentSessions *a = s->owner;
        unsigned n = 0, n_same = 0;
        AgentSession *other;

        DL_FOREACH2(a->auth_held, other, auth_next)
        {
                n++;
                n_same += streq(other->network, s->network);
        }
        return n >= HELD_MAX ? USEC_INFINITY : rate_limit_check(a->backend->refusals, s->network, n_same, now);
}

bool agent_session_hold(AgentSession *s)
{
        RateLimit *l = s->owner->backend->refusals;
        AgentSessions *a = s->owner;
        uint64_t now;

        if (!l || s->proven || s->released)
                return false;
        now = now_usec(CLOCK_MONOTONIC);
        if (rate_limit_check(l, s->network, 0, now) == 0)
                return false;
        if (seconds_to_wait(s, now) <= HELD_SECONDS_MAX && (a->auth_held || arm(a) >= 0)) {
                agent_session_enqueue(s, &a->auth_held);
                return true;
        }
        agent_session_refuse(s, CLOSE_SLOW_DOWN, "slow_down",
                             "Too many agents with wrong keys connect from this network; try again later.");
        agent_session_collect(s);
        return true;
}
