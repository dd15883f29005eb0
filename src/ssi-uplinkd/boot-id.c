/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <systemd/sd-id128.h>

#include "boot-id.h"
#include "shared/util.h"

int boot_id_get(sd_bus *bus, char ret[static BOOT_ID_MAX])
{
        char kernel[SD_ID128_STRING_MAX];
        uint64_t started;
        sd_id128_t id;
        int r;

        r = sd_id128_get_boot(&id);
        if (r < 0)
                return r;
        r = sd_bus_get_property_trivial(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                        "org.freedesktop.systemd1.Manager", "UserspaceTimestampMonotonic", NULL, 't',
                                        &started);
        if (r < 0)
                return r;
        snprintf(ret, BOOT_ID_MAX, "%s-%" PRIx64, sd_id128_to_string(id, kernel), started);
        return 0;
}
