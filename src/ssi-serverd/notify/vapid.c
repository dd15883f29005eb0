/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <curl/curl.h>
#include <fcntl.h>
#include <jwt.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <sys/stat.h>

#include "notify/web-push.h"
#include "shared/tls/pem-text.h"

#define PEM_MAX        4096
#define VAPID_LIFETIME (12 * 3600) /* s; push services refuse more than a day */

DEFINE_CLEANUP(jwt_t *, jwt_free);
DEFINE_CLEANUP(CURLU *, curl_url_cleanup);

static void curl_freep(char **p)
{
        curl_free(*p);
}

void vapid_key_done(VapidKey *k)
{
        if (k->pem)
                sodium_memzero(k->pem, strlen(k->pem));
        free(k->pem);
        *k = (VapidKey){};
}

int vapid_key_parse(const char *pem, VapidKey *ret)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_free_ char *public = NULL;
        uint8_t point[WEB_PUSH_POINT_SIZE];
        size_t n;
        int r;

        r = pem_text_to_private(pem, &key);
        if (r < 0)
                return r;
        if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, sizeof(point), &n) != 1 ||
            n != sizeof(point)) {
                ERR_clear_error();
                return -EBADMSG;
        }
        public = base64url_encode(point, sizeof(point));
        if (!public)
                return -ENOMEM;
        ret->pem = strdup(pem);
        if (!ret->pem)
                return -ENOMEM;
        snprintf(ret->public, sizeof(ret->public), "%s", public);
        return 0;
}

static int read_key(const char *path, VapidKey *ret)
{
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        char text[PEM_MAX + 1];
        size_t n;
        int r;

        if (!f)
                return -errno;
        n = fread(text, 1, PEM_MAX, f);
        if (ferror(f))
                return -EIO;
        text[n] = '\0';
        r = vapid_key_parse(text, ret);
        sodium_memzero(text, sizeof(text));
        return r;
}

static int write_key(FILE *f)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = EVP_EC_gen("prime256v1");

        if (!key || PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) != 1)
                return -EIO;
        if (fflush(f) != 0 || fsync(fileno(f)) < 0)
                return -errno;
        return 0;
}

/* Made under a temporary name of this process, then linked to the wanted one: link(2) does not replace. */
static int make_key(const char *path)
{
        _cleanup_free_ char *draft = NULL;
        _cleanup_close_ int fd = -EBADF;
        _cleanup_fclose_ FILE *f = NULL;
        int r;

        if (asprintf(&draft, "%s.%d", path, (int) getpid()) < 0) {
                draft = NULL;
                return -ENOMEM;
        }
        fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        f = fdopen(fd, "w");
        if (!f)
                return -errno;
        TAKE_FD(fd);
        r = write_key(f);
        if (r >= 0 && link(draft, path) < 0 && errno != EEXIST)
                r = -errno;
        (void) unlink(draft);
        return r;
}

int vapid_key_ensure(const char *path, VapidKey *ret)
{
        int r;

        r = read_key(path, ret);
        if (r != -ENOENT)
                return r;
        r = make_key(path);
        return r < 0 ? r : read_key(path, ret);
}

/* "https://push.example.org" of "https://push.example.org/send/1". */
static int origin_of(const char *url, char **ret)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        _cleanup_(curl_freep) char *scheme = NULL, *host = NULL, *port = NULL;
        CURLUcode code;

        if (!u)
                return -ENOMEM;
        if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
            curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
            curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
                return -EINVAL;
        code = curl_url_get(u, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT);
        if (code != CURLUE_OK && code != CURLUE_NO_PORT)
                return -EINVAL;
        if (asprintf(ret, "%s://%s%s%s", scheme, host, port ? ":" : "", strempty(port)) < 0)
                return -ENOMEM;
        return 0;
}

int vapid_authorization(const VapidKey *k, const char *endpoint, const char *subject, uint64_t now, char **ret)
{
        _cleanup_free_ char *origin = NULL;
        _cleanup_(jwt_freep) jwt_t *jwt = NULL;
        char *token, *value;
        int r;

        r = origin_of(endpoint, &origin);
        if (r < 0)
                return r;
        if (jwt_new(&jwt) != 0 ||
            jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *) k->pem, (int) strlen(k->pem)) != 0 ||
            jwt_add_grant(jwt, "aud", origin) != 0 || jwt_add_grant(jwt, "sub", subject) != 0 ||
            jwt_add_grant_int(jwt, "exp", (long) (now + VAPID_LIFETIME)) != 0)
                return -ENOMEM;
        token = jwt_encode_str(jwt);
        if (!token)
                return -ENOMEM;
        r = asprintf(&value, "vapid t=%s, k=%s", token, k->public);
        free(token);
        if (r < 0)
                return -ENOMEM;
        *ret = value;
        return 0;
}
