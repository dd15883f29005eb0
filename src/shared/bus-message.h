/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What sd-bus does not tell about a message. */

#include <systemd/sd-bus.h>

#include "shared/util.h"

/* What its values take, about. -EMSGSIZE: more than max, or there are more than a thousand of them, which would take long to look at.
 * The message is rewound. */
int bus_message_size(sd_bus_message *m, size_t max, size_t *ret);
