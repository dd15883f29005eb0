/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <jwt.h>
#include <sodium.h>

#include "shared/json-util.h"
#include "auth/jwt-access.h"

#define HEADER_MAX 512

DEFINE_CLEANUP(jwt_t *, jwt_free);

void access_token_done(AccessToken *t)
{
        free(t->user);
        free(t->session);
        *t = (AccessToken){};
}

int access_token_new(const char *key_id, const char *key, const char *user, const char *session, uint64_t now,
                     char **ret)
{
        _cleanup_(jwt_freep) jwt_t *jwt = NULL;
        char *text;

        if (jwt_new(&jwt) != 0 ||
            jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *) key, (int) strlen(key)) != 0 ||
            jwt_add_header(jwt, "kid", key_id) != 0 || jwt_add_grant(jwt, "sub", user) != 0 ||
            jwt_add_grant(jwt, "sid", session) != 0 || jwt_add_grant_int(jwt, "iat", (long) now) != 0 ||
            jwt_add_grant_int(jwt, "exp", (long) (now + ACCESS_TOKEN_LIFETIME)) != 0)
                return -ENOMEM;
        text = jwt_encode_str(jwt);
        if (!text)
                return -EIO;
        *ret = text;
        return 0;
}

/* We choose the algorithm, not the token: a token that names another one is refused before any key is used.
 * Otherwise an attacker could use a public key as the secret of an HMAC. */
int access_token_key_id(const char *token, char **ret)
{
        _cleanup_json_ json_object *header = NULL;
        unsigned char text[HEADER_MAX];
        const char *id, *dot = strchr(token, '.');
        char *copy;
        size_t n;

        if (!dot || strlen(token) > ACCESS_TOKEN_LENGTH_MAX ||
            sodium_base642bin(text, sizeof(text), token, (size_t) (dot - token), NULL, &n, NULL,
                              sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
            json_parse((const char *) text, n, &header) < 0 || !json_object_is_type(header, json_type_object) ||
            !streq(strempty(json_get_string(header, "alg")), "ES256"))
                return -EACCES;
        id = json_get_string(header, "kid");
        if (!id)
                return -EACCES;
        copy = strdup(id);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int access_token_check(const char *key, const char *token, uint64_t now, AccessToken *ret)
{
        _cleanup_(access_token_done) AccessToken t = {};
        _cleanup_(jwt_freep) jwt_t *jwt = NULL;
        _cleanup_free_ char *id = NULL;
        const char *user, *session;
        long expires;
        int r;

        r = access_token_key_id(token, &id);
        if (r < 0)
                return r;
        if (jwt_decode(&jwt, token, (const unsigned char *) key, (int) strlen(key)) != 0 ||
            jwt_get_alg(jwt) != JWT_ALG_ES256)
                return -EACCES;
        user = jwt_get_grant(jwt, "sub");
        session = jwt_get_grant(jwt, "sid");
        expires = jwt_get_grant_int(jwt, "exp");
        if (!user || !session || expires <= 0 || (uint64_t) expires <= now)
                return -EACCES;
        t = (AccessToken){ strdup(user), strdup(session), (uint64_t) expires };
        if (!t.user || !t.session)
                return -ENOMEM;
        *ret = t;
        t = (AccessToken){};
        return 0;
}
