/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/tls/issue.h"
#include "tls/authority.h"
#include "tls/tls.h"
#include "shared/io-util.h"
#include "shared/time-util.h"

#define RENEW_SEC (30L * 86400)

void tls_files_done(TlsFiles *f)
{
        free(f->cert);
        free(f->key);
        *f = (TlsFiles){};
}

static int files_set(const char *cert, const char *key, TlsFiles *ret)
{
        TlsFiles f = { strdup(cert), strdup(key) };

        if (!f.cert || !f.key) {
                tls_files_done(&f);
                return -ENOMEM;
        }
        *ret = f;
        return 0;
}

static int to_usec(const ASN1_TIME *time, uint64_t *ret)
{
        struct tm tm;

        if (ASN1_TIME_to_tm(time, &tm) != 1)
                return -EBADMSG;
        *ret = (uint64_t) timegm(&tm) * USEC_PER_SEC;
        return 0;
}

int tls_certificate_times(const char *file, uint64_t *ret_begin, uint64_t *ret_end)
{
        _cleanup_(bio_freep) BIO *b = BIO_new_file(file, "r");
        _cleanup_(x509_freep) X509 *cert = NULL;
        uint64_t begin, end;

        if (!b)
                return access(file, R_OK) < 0 ? -errno : -EIO;
        cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
        if (!cert || to_usec(X509_get0_notBefore(cert), &begin) < 0 || to_usec(X509_get0_notAfter(cert), &end) < 0)
                return -EBADMSG;
        *ret_begin = begin;
        *ret_end = end;
        return 0;
}

int tls_files_find(const char *cert, const char *key, TlsFiles *ret)
{
        _cleanup_free_ char *dir_cert = NULL, *dir_key = NULL;
        int r, have = 0;

        if (!isempty(cert) || !isempty(key)) {
                if (isempty(cert) || isempty(key))
                        return -EINVAL;
                r = files_set(cert, key, ret);
                return r < 0 ? r : 1;
        }
        r = credential_path("tls.cert", &dir_cert);
        if (r >= 0) {
                have = r;
                r = credential_path("tls.key", &dir_key);
        }
        if (r < 0)
                return r;
        if (have + r < 2)
                return have + r == 0 ? 0 : -EINVAL;
        if (access(dir_cert, R_OK) < 0 || access(dir_key, R_OK) < 0)
                return -EINVAL;
        r = files_set(dir_cert, dir_key, ret);
        return r < 0 ? r : 1;
}

/* ACME clients make the certificate a link to the newest one. */
static int read_linked(const char *path, X509 **ret_cert, EVP_PKEY **ret_key)
{
        _cleanup_free_ char *real = realpath(path, NULL);

        return real ? pem_file_read(AT_FDCWD, real, ret_cert, ret_key) : -errno;
}

int tls_files_check(const TlsFiles *f)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        int r;

        r = read_linked(f->cert, &cert, NULL);
        if (r >= 0)
                r = read_linked(f->key, NULL, &key);
        if (r < 0)
                return r;
        return X509_check_private_key(cert, key) == 1 ? 0 : -EBADMSG;
}

static bool ends_soon(X509 *cert)
{
        time_t limit = time(NULL) + RENEW_SEC;

        return X509_cmp_time(X509_get0_notAfter(cert), &limit) < 0;
}

/* Loads the CA, or makes one if it is missing, damaged or about to expire. */
static int ensure_ca(int dir, X509 **ret_cert, EVP_PKEY **ret_key)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        int r;

        r = pem_file_read(dir, "ca.pem", &cert, NULL);
        if (r >= 0)
                r = pem_file_read(dir, "ca.key", NULL, &key);
        if (r < 0 && r != -ENOENT && r != -EBADMSG)
                return r;
        if (r < 0 || X509_check_private_key(cert, key) != 1 || ends_soon(cert)) {
                evp_pkey_freep(&key);
                x509_freep(&cert);
                key = NULL;
                cert = NULL;
                r = tls_key_new(&key);
                if (r >= 0)
                        r = tls_ca_new(key, &cert);
                /* The public half comes last: once it is there, so is the rest. */
                if (r >= 0)
                        r = pem_file_write(dir, "ca.key", 0600, NULL, key);
                if (r >= 0)
                        r = pem_file_write(dir, "ca.pem", 0644, cert, NULL);
                if (r < 0)
                        return r;
        }
        *ret_cert = TAKE_PTR(cert);
        *ret_key = TAKE_PTR(key);
        return 0;
}

static bool server_is_good(int dir, X509 *ca)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;

        return pem_file_read(dir, "server.pem", &cert, &key) >= 0 && X509_check_private_key(cert, key) == 1 &&
               X509_verify(cert, X509_get0_pubkey(ca)) == 1 && !ends_soon(cert) &&
               tls_names_of_host(false, &names) >= 0 && tls_names_covered_by(&names, cert);
}

/* Both in one file, so that they always match. */
static int write_server(int dir, X509 *cert, EVP_PKEY *key)
{
        return pem_file_write(dir, "server.pem", 0600, cert, key);
}

/* ---- With the key here ---- */

static int ensure_alone(int dir)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL, *ca_key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL, *ca = NULL;
        int r;

        r = ensure_ca(dir, &ca, &ca_key);
        if (r < 0)
                return r;
        if (server_is_good(dir, ca))
                return 0;
        r = tls_names_of_host(true, &names);
        if (r >= 0)
                r = tls_key_new(&key);
        if (r >= 0)
                r = tls_server_new(&names, key, ca, ca_key, &cert);
        if (r >= 0)
                r = write_server(dir, cert, key);
        return r < 0 ? r : 1;
}

/* ---- With a helper ---- */

/* Of a version without it. 0 also when nothing is here. */
static int hand_over(int dir)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        int r;

        r = pem_file_read(dir, "ca.key", NULL, &key);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = pem_file_read(dir, "ca.pem", &cert, NULL);
        /* Half an authority is none. */
        if (r >= 0 && X509_check_private_key(cert, key) != 1)
                r = -EBADMSG;
        if (r >= 0)
                r = authority_adopt(cert, key);
        if (r < 0 && r != -EBADMSG && r != -ENOENT)
                return r;
        return unlinkat(dir, "ca.key", 0) < 0 ? -errno : 0;
}

static int ask_helper(int dir)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL, *ca = NULL;
        int r;

        r = tls_names_of_host(true, &names);
        if (r >= 0)
                r = tls_key_new(&key);
        if (r >= 0)
                r = authority_certificate(key, &names, &cert, &ca);
        if (r >= 0)
                r = pem_file_write(dir, "ca.pem", 0644, ca, NULL);
        if (r >= 0)
                r = write_server(dir, cert, key);
        return r < 0 ? r : 1;
}

static int ensure_with_helper(int dir)
{
        _cleanup_(x509_freep) X509 *ca = NULL;
        int r;

        r = hand_over(dir);
        if (r < 0)
                return r;
        if (pem_file_read(dir, "ca.pem", &ca, NULL) >= 0 && !ends_soon(ca) && server_is_good(dir, ca))
                return 0;
        return ask_helper(dir);
}

/* Whether this process may go on without a helper: with the key that is here, or with a new one where there is none that
 * agents trust already. */
static bool may_be_alone(int dir)
{
        return faccessat(dir, "ca.key", F_OK, 0) >= 0 || faccessat(dir, "ca.pem", F_OK, 0) < 0;
}

int tls_files_ensure(const char *path, bool helper, TlsFiles *ret)
{
        _cleanup_free_ char *server = NULL;
        _cleanup_close_ int dir = -EBADF;
        int made, r;

        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return -errno;
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        /* Agents on this machine read ca.pem. */
        if (fchmod(dir, 0755) < 0)
                return -errno;
        if (flock(dir, LOCK_EX) < 0)
                return -errno;
        made = helper ? ensure_with_helper(dir) : ensure_alone(dir);
        if (made == -ENOTCONN && helper && may_be_alone(dir))
                made = ensure_alone(dir);
        if (made < 0)
                return made;
        if (asprintf(&server, "%s/server.pem", path) < 0) {
                server = NULL;
                return -ENOMEM;
        }
        r = files_set(server, server, ret);
        return r < 0 ? r : made;
}
