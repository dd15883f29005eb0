/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"
#include "shared/time-util.h"

/* The interval between pings, and how long the callee may take to answer one: it may be busy with another caller. */
#define PING_USEC         (30 * USEC_PER_SEC)
#define PING_TIMEOUT_USEC (30 * USEC_PER_SEC)

typedef struct Call {
        sd_bus_message *reply;
        sd_bus_slot *ping;
        uint64_t ping_at; /* the time of the next or the pending ping, on the monotonic clock */
        bool silent;
} Call;

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Call *call = userdata;

        call->reply = sd_bus_message_ref(m);
        return 0;
}

/* Any answer shows that the callee is alive; if it is gone, the call itself fails. */
static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        Call *call = userdata;

        call->ping = sd_bus_slot_unref(call->ping);
        call->silent = sd_bus_message_is_method_error(m, NULL) && now >= call->ping_at + PING_TIMEOUT_USEC;
        call->ping_at = now + PING_USEC;
        return 0;
}

static int ping(Ctl *c, Call *call, const char *name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, name, "/", "org.freedesktop.DBus.Peer", "Ping");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_call_async(c->bus, &call->ping, m, on_pong, call, PING_TIMEOUT_USEC);
        call->ping_at = now_usec(CLOCK_MONOTONIC);
        return r;
}

static int wait_for_reply(Ctl *c, Call *call, const char *name)
{
        int r = 0;

        while (r >= 0 && !call->reply && !call->silent) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);

                if (!call->ping && now >= call->ping_at)
                        r = ping(c, call, name);
                if (r >= 0)
                        r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, call->ping ? UINT64_MAX : call->ping_at - MIN(now, call->ping_at));
                if (r == -EINTR)
                        r = 0;
        }
        return r < 0 ? r : call->reply ? 0 : -ETIMEDOUT;
}

int ctl_call_patiently(Ctl *c, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret_reply)
{
        Call call = { .ping_at = now_usec(CLOCK_MONOTONIC) + PING_USEC };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        int r;

        r = sd_bus_call_async(c->bus, &slot, m, on_reply, &call, UINT64_MAX);
        if (r >= 0)
                r = wait_for_reply(c, &call, sd_bus_message_get_destination(m));
        sd_bus_slot_unref(call.ping);
        reply = call.reply;
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                (void) sd_bus_error_copy(error, sd_bus_message_get_error(reply));
                return -sd_bus_message_get_errno(reply);
        }
        if (ret_reply)
                *ret_reply = TAKE_PTR(reply);
        return 0;
}
