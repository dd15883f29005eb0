/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-util.h"
#include "shared/log.h"
#include "rotate.h"

#define TIMEOUT_SEC 20

/* 1. The backend makes a key and stores it; both keys are valid from now on.
 * 2. Here, it is saved beside the old one.
 * 3. The session connects with it, and the backend ends the old one.
 * 4. The old one is deleted here, and the caller answered.
 *
 * Whenever this host or the backend dies, one of the saved keys is valid: a connection tries the new one, then the old one. */
struct Rotation {
        Rotation **slot;
        sd_bus_message *message;
        sd_event_source *timeout;
        rotation_key_t take;
        void *userdata;
        bool saved;
        char reason[256]; /* why there was no connection with the new key yet */
};

Rotation *rotation_free(Rotation *r)
{
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->timeout);
        sd_bus_message_unref(r->message);
        if (*r->slot == r)
                *r->slot = NULL;
        free(r);
        return NULL;
}

static _printf_(3, 4) void finish(Rotation *r, const char *name, const char *format, ...)
{
        va_list ap;
        int k;

        va_start(ap, format);
        k = bus_answer(r->message, name, format, ap);
        va_end(ap);
        if (k < 0)
                log_debug_errno(k, "Cannot answer the change of the key");
        rotation_free(r);
}

void rotation_take_key(Rotation *r, const char *key)
{
        int k;

        /* Nobody waits for it any more: the old key stays valid. */
        if (!r || r->saved)
                return;
        /* Connecting may end at once. */
        r->saved = true;
        k = r->take(key, r->userdata);
        if (k < 0)
                finish(r, UPLINK_ERROR("StateFailed"),
                       "Cannot save the new key in " SSI_UPLINK_STATE_DIR ": %s. The key was not changed.",
                       strerror(-k));
}

void rotation_connected(Rotation *r, bool next_key)
{
        if (!r || !r->saved)
                return;
        if (next_key)
                finish(r, NULL, " ");
        else
                finish(r, UPLINK_ERROR("ServerRefused"),
                       "The backend did not accept the key that it had given. The key was not changed.");
}

void rotation_disconnected(Rotation *r, const char *reason, bool final)
{
        if (!r)
                return;
        if (final)
                finish(r, UPLINK_ERROR("ServerRefused"), "The backend no longer knows this agent: %s", reason);
        else if (!r->saved)
                finish(r, UPLINK_ERROR("ConnectionFailed"),
                       "The connection ended before there was a new key: %s. The key was not changed.", reason);
        else
                snprintf(r->reason, sizeof(r->reason), ": %s", reason);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Rotation *r = userdata;

        if (r->saved)
                finish(r, UPLINK_ERROR("ConnectionFailed"),
                       "The new key is saved, but there is no connection with it yet%s. It will be tried again.",
                       r->reason);
        else
                finish(r, UPLINK_ERROR("TimedOut"),
                       "The backend gave no key within " STRINGIFY(TIMEOUT_SEC) " seconds. The key was not changed.");
        return 0;
}

int rotation_start(Rotation **slot, sd_event *event, sd_bus_message *message, rotation_key_t take, void *userdata)
{
        Rotation *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return -ENOMEM;
        r->slot = slot;
        r->message = sd_bus_message_ref(message);
        r->take = take;
        r->userdata = userdata;
        k = sd_event_add_time_relative(event, &r->timeout, CLOCK_MONOTONIC, TIMEOUT_SEC * USEC_PER_SEC, 0, on_timeout,
                                       r);
        if (k < 0) {
                rotation_free(r);
                return k;
        }
        *slot = r;
        return 0;
}
