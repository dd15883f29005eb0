/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>

#include "installed.h"

bool installed_check(const char *slug, void *userdata)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), SSI_UNIT_DIR "/ssi-%s.service", slug);
        if (access(path, F_OK) < 0)
                return false;
        snprintf(path, sizeof(path), SSI_SCRIPT_DIR "/%s", slug);
        return access(path, F_OK) >= 0;
}
