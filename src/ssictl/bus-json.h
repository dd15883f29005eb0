/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Any D-Bus value as JSON or as text, for what ssictl shows without knowing its type beforehand. */

#include <systemd/sd-bus.h>

#include "shared/json-util.h"

/* Reads one value (a variant's content for a variant). Numbers keep all of their 64 bits; the largest uint64, which
 * stands for "unknown", becomes null. -EOPNOTSUPP for a type that JSON has no form for. */
int bus_read_json(sd_bus_message *m, json_object **ret);

/* Reads an a{sv} as a JSON object, in the bus' order. */
int bus_read_json_dictionary(sd_bus_message *m, json_object **ret);

/* As after KEY= : strings bare, "yes" and "no", "infinity" for null, arrays of these separated by spaces. Anything
 * else as JSON. NULL when out of memory. */
char *json_to_plain_text(json_object *o);
