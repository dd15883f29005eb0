/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Slugs: what a service is called in unit names, on D-Bus and on the wire. */

#include "shared/util.h"

#define SLUG_MAX 64

/* So many other services can be named as what a service depends on. */
#define DEPENDS_ON_MAX 64

/* The slug of a service's name: ASCII letters lower case, digits kept, each run of anything else one '-', none at the
 * ends ("System Updates" -> "system-updates"). -EINVAL when nothing is left, -ENAMETOOLONG past SLUG_MAX bytes,
 * -ENOMEM. */
int slug_from_name(const char *name, char **ret);

/* [a-z0-9] and single inner '-', 1 to SLUG_MAX bytes. */
bool slug_is_valid(const char *s);

/* "ssi-<slug>.service" or ".timer" (suffix with its dot). NULL when out of memory. */
char *slug_to_unit(const char *slug, const char *suffix);

/* The slug in "ssi-<slug>.service"; -EINVAL when the unit is not named so. ret has room for SLUG_MAX + 1. */
int slug_from_service_unit(const char *unit, char ret[static SLUG_MAX + 1]);
