/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* This instance's own key for signing access tokens: ECDSA on P-256. The private half never leaves the machine, and
 * above all is not in the database. Blocking. */

#include "shared/util.h"

/* The SHA-256 of the public key's DER form (SubjectPublicKeyInfo) in base64url without padding. */
#define ACCESS_KEY_ID_LENGTH 43

typedef struct AccessKey {
        char id[ACCESS_KEY_ID_LENGTH + 1];
        char *private_pem, *public_pem;
} AccessKey;

void access_key_done(AccessKey *k);

/* From the file given (may be NULL), else from access-token.key in $CREDENTIALS_DIRECTORY, else from
 * access-token.pem in dir, where one is made when it is missing, broken or older than ACCESS_KEY_DAYS. -EBADMSG when the
 * file given does not hold a private key on P-256. */
#define ACCESS_KEY_DAYS 90
int access_key_load(const char *given, const char *dir, AccessKey *ret);
