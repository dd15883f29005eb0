/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Local administration: org.ssi.Server1 on the system bus, if there is one. Without a bus (as in a
 * container) the server works, too, and looks for one from time to time. If there are several instances, one
 * owns the name. */

#include "core/backend.h"

typedef struct Admin Admin;

/* backend: borrowed; free it before the Admin. ca_file: the private CA that clients must trust, or NULL; copied. */
int admin_new(Backend *backend, const char *ca_file, Admin **ret);
Admin *admin_free(Admin *a);
DEFINE_CLEANUP(Admin *, admin_free);

/* The database became available or unavailable. a may be NULL. */
void admin_ready_changed(Admin *a);
