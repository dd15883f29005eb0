/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asynchronous calls to systemd's manager on D-Bus (org.freedesktop.systemd1(5)). */

#include <systemd/sd-bus.h>

#define SYSTEMD_UNIT_PATH "/org/freedesktop/systemd1/unit"

/* Calls a method of org.freedesktop.systemd1.Manager. types and the arguments: as for sd_bus_message_append(3);
 * types may be NULL. callback gets the answer; freeing the slot cancels it. 0 on success. */
int systemd_call_async(sd_bus *bus, const char *member, sd_bus_message_handler_t callback, void *userdata,
                       sd_bus_slot **ret_slot, const char *types, ...);

/* Creates such a call. The caller appends the arguments and sends it. */
int systemd_new_call(sd_bus *bus, const char *member, sd_bus_message **ret);
int systemd_send_async(sd_bus *bus, sd_bus_message *call, sd_bus_message_handler_t callback, void *userdata,
                       sd_bus_slot **ret_slot);

/* Sends a call whose answer nobody needs. */
int systemd_call_no_reply(sd_bus *bus, const char *member, const char *types, ...);
