/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Local administration: org.ssi.Server1 on the system bus, if there is one. Without a bus (as in a
 * container) the server works, too, and looks for one from time to time. If there are several instances, one
 * owns the name. */

#include "core/backend.h"

typedef struct Admin Admin;

typedef struct AdminConfig {
        const char *ca_file;   /* the private CA that clients must trust, or NULL */
        const char *cert_file; /* of this host's certificate */
        const char *joined;    /* the address of the first host, if this one has joined; or NULL */
        bool signs;            /* the helper signs certificates for hosts that join */
        /* The settings have changed: ends this process, so that systemd starts it again. */
        void (*restart)(void *userdata);
        void *restart_userdata;
} AdminConfig;

/* backend: borrowed; free it before the Admin. The texts are copied. */
int admin_new(Backend *backend, const AdminConfig *config, Admin **ret);
Admin *admin_free(Admin *a);
DEFINE_CLEANUP(Admin *, admin_free);

/* The database became available or unavailable. a may be NULL. */
void admin_ready_changed(Admin *a);
