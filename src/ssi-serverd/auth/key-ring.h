/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The keys that access tokens are signed with: this instance's own, published in the database, and the public ones of
 * all instances, read from there again and again, and at once (though not too often) when a token names another. */

#include "auth/access-key.h"
#include "auth/jwt-access.h"

typedef struct KeyRing KeyRing;
typedef struct Backend Backend;

/* key is borrowed. */
int key_ring_new(Backend *backend, const AccessKey *key, KeyRing **ret);
/* After the database. Calls what still waits with -ECANCELED. */
KeyRing *key_ring_free(KeyRing *ring);
DEFINE_CLEANUP(KeyRing *, key_ring_free);

/* Publishes and reads the keys; done (of key_ring_set_callback()) follows when that has worked. */
void key_ring_refresh(KeyRing *ring);
void key_ring_set_callback(KeyRing *ring, void (*done)(void *userdata), void *userdata);

/* Whether this instance's key has been published, and tokens can be made and checked. */
bool key_ring_is_ready(KeyRing *ring);

/* To be freed. */
int key_ring_sign(KeyRing *ring, const char *user, const char *session, uint64_t now, char **ret);

/* -EACCES when it is none of our tokens, or has expired; -EAGAIN when it names a key that may have come since the keys
 * were read: key_ring_wait(), then check once more with last set, and an unknown key is -EACCES. */
int key_ring_check(KeyRing *ring, const char *token, bool last, uint64_t now, AccessToken *ret);

/* Calls back once, from the event loop, when the keys have been read anew, or with a negative errno when they could not
 * be. -EBUSY when too many wait. */
int key_ring_wait(KeyRing *ring, void (*callback)(int error, void *userdata), void *userdata);
