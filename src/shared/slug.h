/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Slugs: the names of services in unit names, on D-Bus and in the protocol. */

#include "shared/util.h"

#define SLUG_MAX 64

/* The maximum number of other services that a service may depend on. */
#define DEPENDS_ON_MAX 64

/* Makes the slug of a service's name: ASCII letters become lower case, digits stay, each run of other characters
 * becomes one '-', with none at the ends ("System Updates" -> "system-updates"). -EINVAL if nothing is left,
 * -ENAMETOOLONG if longer than SLUG_MAX bytes, -ENOMEM. */
int slug_from_name(const char *name, char **ret);

/* [a-z0-9] and single inner '-', 1 to SLUG_MAX bytes. */
bool slug_is_valid(const char *s);

/* "ssi-<slug>.service" or ".timer" (suffix includes the dot). NULL if out of memory. */
char *slug_to_unit(const char *slug, const char *suffix);

/* Gets the slug from "ssi-<slug>.service"; -EINVAL if the unit is not named like this. ret takes SLUG_MAX + 1
 * bytes. */
int slug_from_service_unit(const char *unit, char ret[static SLUG_MAX + 1]);
