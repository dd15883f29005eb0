/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only thing that the uplink stores: which backend this host reports to, and as what. */

#include "shared/util.h"

typedef struct Credentials {
        char *server_url, *agent_id, *api_key;
        char *ca; /* PEM, or NULL for the system's authorities */
} Credentials;

/* From "credentials.json" in the folder. -ENOENT when this host is not registered; -EBADMSG when the file is damaged;
 * -EPERM when others may read or write it. */
int credentials_load(const char *dir, Credentials *ret);

/* Replaces the file, mode 0600, so that a crash leaves the old or the new one. */
int credentials_save(const char *dir, const Credentials *c);

/* -ENOENT when there is none. */
int credentials_remove(const char *dir);

/* Erases the key from memory. */
void credentials_done(Credentials *c);
