#include <jwt.h>

#include "jwt-access.h"

#define TOKEN_LENGTH_MAX 2048

DEFINE_CLEANUP(jwt_t *, jwt_free);

int access_token_new(const unsigned char key[static ACCESS_TOKEN_KEY_SIZE], const char *user, uint64_t now, char **ret)
{
        _cleanup_(jwt_freep) jwt_t *jwt = NULL;
        char *text;

        if (jwt_new(&jwt) != 0 || jwt_set_alg(jwt, JWT_ALG_HS256, key, ACCESS_TOKEN_KEY_SIZE) != 0 ||
            jwt_add_grant(jwt, "sub", user) != 0 || jwt_add_grant_int(jwt, "iat", (long) now) != 0 ||
            jwt_add_grant_int(jwt, "exp", (long) (now + ACCESS_TOKEN_LIFETIME)) != 0)
                return -ENOMEM;
        text = jwt_encode_str(jwt);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

int access_token_check(const unsigned char key[static ACCESS_TOKEN_KEY_SIZE], const char *token, uint64_t now,
                       char **ret_user, uint64_t *ret_expires)
{
        _cleanup_(jwt_freep) jwt_t *jwt = NULL;
        const char *user;
        long expires;
        char *copy;

        if (strlen(token) > TOKEN_LENGTH_MAX || jwt_decode(&jwt, token, key, ACCESS_TOKEN_KEY_SIZE) != 0)
                return -EACCES;

        /* The header says how it is signed: anything but our way is a forgery. */
        if (jwt_get_alg(jwt) != JWT_ALG_HS256)
                return -EACCES;
        user = jwt_get_grant(jwt, "sub");
        expires = jwt_get_grant_int(jwt, "exp");
        if (!user || expires <= 0 || (uint64_t) expires <= now)
                return -EACCES;
        copy = strdup(user);
        if (!copy)
                return -ENOMEM;
        *ret_user = copy;
        *ret_expires = (uint64_t) expires;
        return 0;
}
