/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Appends a script's header to the answers of the manager's methods. */

#include <systemd/sd-bus.h>

#include "shared/metadata.h"

/* a(uss): line, "error" or "warning", text. */
int metadata_append_problems(sd_bus_message *reply, const Metadata *m);
/* a{sv}: the values, and "slug". */
int metadata_append_values(sd_bus_message *reply, const Metadata *m);
