#pragma once

/* The text of the service and timer units of a service-script. Pure. */

#include "metadata.h"

typedef struct UnitSpec {
        const Metadata *metadata;
        uint64_t timeout_usec;
        uint64_t random_delay_usec; /* 0: none */
} UnitSpec;

/* The first line of every file that ssid writes; what does not begin with it is not ours. */
#define UNIT_FILE_MARK "# Written by ssid(8) from a service-script; use drop-ins to change it.\n"

/* NULL when out of memory. */
char *unit_file_service(const UnitSpec *spec);
char *unit_file_timer(const UnitSpec *spec);
