/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The keys that sign access tokens: this instance's own, which it publishes in the database, and the public
 * keys of all instances, which it reads periodically, and at once (but not too often) when a token names an
 * unknown key. */

#include "auth/access-key.h"
#include "auth/jwt-access.h"

typedef struct KeyRing KeyRing;
typedef struct Backend Backend;

/* key is borrowed. */
int key_ring_new(Backend *backend, const AccessKey *key, KeyRing **ret);
/* Call this after freeing the database. Waiting callbacks get -ECANCELED. */
KeyRing *key_ring_free(KeyRing *ring);
DEFINE_CLEANUP(KeyRing *, key_ring_free);

/* Publishes and reads the keys; on success calls done (of key_ring_set_callback()). */
void key_ring_refresh(KeyRing *ring);
void key_ring_set_callback(KeyRing *ring, void (*done)(void *userdata), void *userdata);

/* Whether this instance's key is published, so that tokens can be made and checked. */
bool key_ring_is_ready(KeyRing *ring);

/* The caller frees the token. */
int key_ring_sign(KeyRing *ring, const char *user, const char *session, uint64_t now, char **ret);

/* -EACCES if the token is not ours or has expired. -EAGAIN if it names a key that may have been published
 * since the last read: call key_ring_wait(), then check again with last set, which makes an unknown key
 * -EACCES. */
int key_ring_check(KeyRing *ring, const char *token, bool last, uint64_t now, AccessToken *ret);

/* Calls back once, from the event loop, when the keys have been read again, or with a negative errno if that
 * failed. -EBUSY when too many are waiting, in all or of this network. */
int key_ring_wait(KeyRing *ring, const char *network, void (*callback)(int error, void *userdata), void *userdata);
