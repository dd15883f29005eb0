/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a service of this name is installed: its unit and its script exist. Looks at the disk each time, so the
 * answer is always current. userdata is not used. */

#include "shared/util.h"

bool installed_check(const char *slug, void *userdata);
