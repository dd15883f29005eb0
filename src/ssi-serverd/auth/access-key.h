/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* This instance's own key for signing access tokens: ECDSA on P-256. The private half never leaves the
 * machine; in particular, it is never stored in the database. Blocking. */

#include "shared/util.h"

/* The SHA-256 of the public key's DER form (SubjectPublicKeyInfo) in base64url without padding. */
#define ACCESS_KEY_ID_LENGTH 43

typedef struct AccessKey {
        char id[ACCESS_KEY_ID_LENGTH + 1];
        char *private_pem, *public_pem;
} AccessKey;

void access_key_done(AccessKey *k);

/* Loads the key from the given file (may be NULL), or else from access-token.key in $CREDENTIALS_DIRECTORY,
 * or else from access-token.pem in dir, which is made if it is missing, broken or older than
 * ACCESS_KEY_DAYS. -EBADMSG if the given file does not hold a private key on P-256. */
#define ACCESS_KEY_DAYS 90
int access_key_load(const char *given, const char *dir, AccessKey *ret);
