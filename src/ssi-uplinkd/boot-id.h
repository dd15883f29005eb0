/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What tells this boot of this host from all others, and is in no copy of its disk. */

#include <systemd/sd-bus.h>

#define BOOT_ID_MAX 64

/* The kernel's boot ID, and when PID 1 began, because containers share a kernel. Asks systemd and waits: call it once. */
int boot_id_get(sd_bus *bus, char ret[static BOOT_ID_MAX]);
