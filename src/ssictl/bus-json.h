/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Converts any D-Bus value to JSON or text, for output whose type ssictl does not know in advance. */

#include <systemd/sd-bus.h>

#include "shared/json-util.h"

/* Reads one value (for a variant, its content). Numbers keep all 64 bits; the largest uint64, which stands for
 * "unknown", becomes null. -EOPNOTSUPP for a type that JSON cannot represent. */
int bus_read_json(sd_bus_message *m, json_object **ret);

/* Reads an a{sv} as a JSON object, in the order on the bus. */
int bus_read_json_dictionary(sd_bus_message *m, json_object **ret);

/* Text for use after KEY= : strings without quotes, "yes" and "no", "infinity" for null, and arrays of these
 * separated by spaces. Anything else as JSON. NULL if out of memory. */
char *json_to_plain_text(json_object *o);
