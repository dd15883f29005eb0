/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a database can be reached from this machine only: by a UNIX socket or the loopback. */

#include "shared/util.h"

/* False also for a text that libpq does not understand. */
bool db_is_local(const char *conninfo);
