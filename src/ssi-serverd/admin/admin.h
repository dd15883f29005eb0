/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Local administration: org.ssi.Server1 on the system bus, where there is one. Without a bus (as in a container) the
 * server serves all the same, and looks for one now and then. Of several instances one owns the name. */

#include "core/backend.h"

typedef struct Admin Admin;

/* server: borrowed, and freed before this is. ca_file: the private authority that clients have to trust, or NULL;
 * copied. */
int admin_new(Backend *backend, const char *ca_file, Admin **ret);
Admin *admin_free(Admin *a);
DEFINE_CLEANUP(Admin *, admin_free);

/* That the database came or went. NULL is fine. */
void admin_ready_changed(Admin *a);
