/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asynchronous calls of systemd's manager over D-Bus (org.freedesktop.systemd1(5)). */

#include <systemd/sd-bus.h>

#define SYSTEMD_UNIT_PATH "/org/freedesktop/systemd1/unit"

/* Calls org.freedesktop.systemd1.Manager's member with the arguments given by types, as sd_bus_message_append(3)
 * (NULL for none). The answer comes to callback; the slot cancels it. 0 on success. */
int systemd_call_async(sd_bus *bus, const char *member, sd_bus_message_handler_t callback, void *userdata,
                       sd_bus_slot **ret_slot, const char *types, ...);

/* The same in two steps, for arguments that are appended by other means. */
int systemd_new_call(sd_bus *bus, const char *member, sd_bus_message **ret);
int systemd_send_async(sd_bus *bus, sd_bus_message *call, sd_bus_message_handler_t callback, void *userdata,
                       sd_bus_slot **ret_slot);

/* Asks for something of which nobody waits to hear. */
int systemd_call_no_reply(sd_bus *bus, const char *member, const char *types, ...);
