/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <sys/stat.h>

#include "installed.h"

/* ssid does not follow links either: it ignores a service whose files are links. */
static bool is_file(const char *path)
{
        struct stat st;

        return lstat(path, &st) >= 0 && S_ISREG(st.st_mode);
}

bool installed_check(const char *slug, void *userdata)
{
        char unit[PATH_MAX], script[PATH_MAX];

        snprintf(unit, sizeof(unit), SSI_UNIT_DIR "/ssi-%s.service", slug);
        snprintf(script, sizeof(script), SSI_SCRIPT_DIR "/%s", slug);
        return is_file(unit) && is_file(script);
}
