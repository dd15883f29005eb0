#pragma once

/* Access tokens: JSON Web Tokens, HS256, with the user's public id as subject. */

#include "util.h"

#define ACCESS_TOKEN_KEY_SIZE 32
#define ACCESS_TOKEN_LIFETIME (15 * 60) /* s */

/* now: s since the epoch. To be freed. */
int access_token_new(const unsigned char key[static ACCESS_TOKEN_KEY_SIZE], const char *user, uint64_t now, char **ret);

/* -EACCES when it is not one of ours, or has expired. ret_user is to be freed. */
int access_token_check(const unsigned char key[static ACCESS_TOKEN_KEY_SIZE], const char *token, uint64_t now,
                       char **ret_user, uint64_t *ret_expires);
