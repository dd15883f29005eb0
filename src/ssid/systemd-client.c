/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "systemd-client.h"
#include "shared/util.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"

/* Reloading a host with thousands of units takes a while. */
#define CALL_TIMEOUT_USEC (90 * USEC_PER_SEC)

int systemd_new_call(sd_bus *bus, const char *member, sd_bus_message **ret)
{
        return sd_bus_message_new_method_call(bus, ret, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_NAME ".Manager", member);
}

int systemd_send_async(sd_bus *bus, sd_bus_message *call, sd_bus_message_handler_t callback, void *userdata,
                       sd_bus_slot **ret_slot)
{
        int r = sd_bus_call_async(bus, ret_slot, call, callback, userdata, CALL_TIMEOUT_USEC);

        return MIN(r, 0);
}

int systemd_call_no_reply(sd_bus *bus, const char *member, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = systemd_new_call(bus, member, &m);
        if (r < 0)
                return r;
        r = sd_bus_message_set_expect_reply(m, false);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = sd_bus_send(bus, m, NULL);
        return MIN(r, 0);
}

int systemd_call_async(sd_bus *bus, const char *member, sd_bus_message_handler_t callback, void *userdata,
                       sd_bus_slot **ret_slot, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = systemd_new_call(bus, member, &m);
        if (r < 0)
                return r;
        if (types) {
                va_start(ap, types);
                r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
                if (r < 0)
                        return r;
        }
        return systemd_send_async(bus, m, callback, userdata, ret_slot);
}
