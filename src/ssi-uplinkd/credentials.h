/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only thing that the uplink stores: the backend that this host reports to, and the agent's ID and key there. While the key
 * is being changed, both are stored: the backend accepts the old one until the new one has been used. */

#include "shared/util.h"

typedef struct Credentials {
        char *server_url, *agent_id, *api_key;
        char *next_api_key; /* NULL, or not used yet */
        char *ca;           /* PEM; NULL: the system's authorities */
} Credentials;

/* Reads "credentials.json" in the folder. -ENOENT if this host is not registered; -EBADMSG if the file is
 * damaged; -EPERM if others can read or write it. */
int credentials_load(const char *dir, Credentials *ret);

/* Replaces the file (mode 0600). After a crash, either the old or the new file is there. */
int credentials_save(const char *dir, const Credentials *c);

/* -ENOENT if there is none. */
int credentials_remove(const char *dir);

/* The next key takes the place of the key, or is dropped. */
void credentials_settle_key(Credentials *c, bool next_is_valid);

/* Erases the keys from memory. */
void credentials_done(Credentials *c);
