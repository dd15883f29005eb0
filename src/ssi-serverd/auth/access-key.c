/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <sys/stat.h>
#include <time.h>

#include "auth/access-key.h"
#include "shared/io-util.h"
#include "shared/tls/issue.h"
#include "shared/tls/pem-text.h"

#define KEY_FILE       "access-token.pem"
#define KEY_CREDENTIAL "access-token.key"

void access_key_done(AccessKey *k)
{
        if (k->private_pem)
                sodium_memzero(k->private_pem, strlen(k->private_pem));
        free(k->private_pem);
        free(k->public_pem);
        *k = (AccessKey){};
}

static int key_id(EVP_PKEY *key, char ret[static ACCESS_KEY_ID_LENGTH + 1])
{
        unsigned char hash[SHA256_DIGEST_LENGTH], *der = NULL;
        int n;

        n = i2d_PUBKEY(key, &der);
        if (n <= 0)
                return -EIO;
        SHA256(der, (size_t) n, hash);
        OPENSSL_free(der);
        sodium_bin2base64(ret, ACCESS_KEY_ID_LENGTH + 1, hash, sizeof(hash), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        return 0;
}

static int access_key_set(EVP_PKEY *key, AccessKey *ret)
{
        AccessKey k = {};
        int r;

        r = pem_key_is_p256(key) ? key_id(key, k.id) : -EBADMSG;
        if (r >= 0)
                r = pem_text_of_private(key, &k.private_pem);
        if (r >= 0)
                r = pem_text_of_public(key, &k.public_pem);
        if (r < 0) {
                access_key_done(&k);
                return r;
        }
        *ret = k;
        return 0;
}

static int load_given(const char *path, AccessKey *ret)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        int r;

        r = pem_file_read(AT_FDCWD, path, NULL, &key);
        return r < 0 ? r : access_key_set(key, ret);
}

/* Returns 0 if there is no credential. */
static int load_credential(AccessKey *ret)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = credential_path(KEY_CREDENTIAL, &path);
        if (r <= 0)
                return r;
        r = load_given(path, ret);
        return r < 0 ? r : 1;
}

static bool is_old(int dir)
{
        struct stat st;

        return fstatat(dir, KEY_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
               st.st_mtime + ACCESS_KEY_DAYS * 86400L < time(NULL);
}

int access_key_load(const char *given, const char *path, AccessKey *ret)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL, *made = NULL;
        _cleanup_close_ int dir = -EBADF;
        int r;

        if (!isempty(given))
                return load_given(given, ret);
        r = load_credential(ret);
        if (r != 0)
                return r < 0 ? r : 0;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return -errno;
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        r = pem_file_read(dir, KEY_FILE, NULL, &key);
        if (r >= 0 && !is_old(dir) && pem_key_is_p256(key))
                return access_key_set(key, ret);
        if (r < 0 && r != -ENOENT && r != -EBADMSG)
                return r;

        /* If two instances do this at once in one folder, each keeps the key that it made: both are
         * published. */
        r = tls_key_new(&made);
        if (r >= 0)
                r = pem_file_write(dir, KEY_FILE, 0600, NULL, made);
        return r < 0 && r != -EEXIST && r != -ENOENT ? r : access_key_set(made, ret);
}
