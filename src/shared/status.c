/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/status.h"
#include "shared/util.h"

static const char *const status_names[_STATUS_MAX] = {
        [STATUS_OK] = "OK",
        [STATUS_UPDATE] = "UPDATE",
        [STATUS_WARNING] = "WARNING",
        [STATUS_FAILURE] = "FAILURE",
};

const char *status_to_string(Status s)
{
        return s >= 0 && s < _STATUS_MAX ? status_names[s] : NULL;
}

Status status_from_string(const char *s)
{
        for (Status i = 0; i < _STATUS_MAX; i++)
                if (streq(s, status_names[i]))
                        return i;
        return _STATUS_INVALID;
}
