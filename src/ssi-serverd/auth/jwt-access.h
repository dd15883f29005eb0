/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Access tokens: JSON Web Tokens (RFC 7519) signed only with ES256, with the user's public id as subject,
 * the session's as sid and the signing key's as kid. */

#include "shared/util.h"

#define ACCESS_TOKEN_LIFETIME   (15 * 60) /* s */
#define ACCESS_TOKEN_LENGTH_MAX 2048

typedef struct AccessToken {
        char *user, *session;
        uint64_t expires; /* s since the epoch */
} AccessToken;

void access_token_done(AccessToken *t);

/* key: a private key on P-256 as PEM. now: s since the epoch. The caller frees the token. */
int access_token_new(const char *key_id, const char *key, const char *user, const char *session, uint64_t now,
                     char **ret);

/* Returns the key id that the token names, without checking the token; the caller frees it. -EACCES if the
 * token does not have our form. */
int access_token_key_id(const char *token, char **ret);

/* key: a public key as PEM. -EACCES if the key did not sign the token, or the token has expired. */
int access_token_check(const char *key, const char *token, uint64_t now, AccessToken *ret);
