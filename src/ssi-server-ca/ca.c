/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "ca.h"
#include "shared/io-util.h"
#include "shared/time-util.h"
#include "shared/tls/join-proof.h"
#include "shared/tls/renew-proof.h"

#define RENEW_SEC    (30L * 86400)
#define TOKEN_ID_MAX 32
#define PREFIX       "admitted-"
#define HOST_PREFIX  "host-"
#define HOST_LENGTH  200 /* with what replace_file_at() appends, a file's name */
#define LINE_MAX_    (2 * PEM_PIN_MAX)

void ca_close(Ca *c)
{
        X509_free(c->cert);
        EVP_PKEY_free(c->key);
        c->dir = safe_close(c->dir);
        *c = (Ca){ .dir = -EBADF };
}

static bool ends_soon(X509 *cert)
{
        time_t limit = time(NULL) + RENEW_SEC;

        return X509_cmp_time(X509_get0_notAfter(cert), &limit) < 0;
}

static int load(Ca *c)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        int r;

        r = pem_file_read(c->dir, "ca.pem", &cert, NULL);
        if (r >= 0)
                r = pem_file_read(c->dir, "ca.key", NULL, &key);
        if (r >= 0 && X509_check_private_key(cert, key) != 1)
                r = -EBADMSG;
        if (r < 0)
                return r;
        c->cert = TAKE_PTR(cert);
        c->key = TAKE_PTR(key);
        return 0;
}

int ca_open(const char *path, Ca *ret)
{
        Ca c = {};
        int r;

        c.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c.dir < 0)
                return -errno;
        r = load(&c);
        if (r < 0 && r != -ENOENT && r != -EBADMSG) {
                ca_close(&c);
                return r;
        }
        *ret = c;
        return 0;
}

/* The certificate comes last: once it is there, so is the rest. */
static int keep(Ca *c, X509 *cert_taken, EVP_PKEY *key_taken)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = key_taken;
        _cleanup_(x509_freep) X509 *cert = cert_taken;
        int r;

        r = pem_file_write(c->dir, "ca.key", 0600, NULL, key);
        if (r >= 0)
                r = pem_file_write(c->dir, "ca.pem", 0600, cert, NULL);
        if (r < 0)
                return r;
        X509_free(c->cert);
        EVP_PKEY_free(c->key);
        c->cert = TAKE_PTR(cert);
        c->key = TAKE_PTR(key);
        return 0;
}

static int ensure(Ca *c)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        int r;

        if (c->cert && !ends_soon(c->cert))
                return 0;
        r = tls_key_new(&key);
        if (r >= 0)
                r = tls_ca_new(key, &cert);
        return r < 0 ? r : keep(c, TAKE_PTR(cert), TAKE_PTR(key));
}

int ca_adopt(Ca *c, const char *cert_text, const char *key_text)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        int r;

        r = pem_text_to_cert(cert_text, &cert);
        if (r >= 0)
                r = pem_text_to_private(key_text, &key);
        if (r < 0)
                return r;
        if (X509_check_private_key(cert, key) != 1 || X509_check_ca(cert) != 1)
                return -EBADMSG;
        if (c->cert)
                return X509_cmp(c->cert, cert) == 0 ? 0 : -EEXIST;
        return keep(c, TAKE_PTR(cert), TAKE_PTR(key));
}

int ca_sign(Ca *c, const char *public_key, const TlsNames *names, char **ret_cert, char **ret_authority)
{
        _cleanup_free_ char *cert_text = NULL, *authority = NULL;
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        int r;

        r = pem_text_to_public(public_key, &key);
        if (r >= 0)
                r = ensure(c);
        if (r >= 0)
                r = tls_server_new(names, key, c->cert, c->key, &cert);
        if (r >= 0)
                r = pem_text_of_cert(cert, &cert_text);
        if (r >= 0)
                r = pem_text_of_cert(c->cert, &authority);
        if (r < 0)
                return r;
        *ret_cert = TAKE_PTR(cert_text);
        *ret_authority = TAKE_PTR(authority);
        return 0;
}

/* ---- The names of this host ---- */

static bool is_host_of(const char *url, const char *name)
{
        const char *host = url ? strstr(url, "://") : NULL;
        size_t n;

        if (!host)
                return false;
        host += 3;
        n = strcspn(host, "/:?#");
        return n == strlen(name) && strncasecmp(host, name, n) == 0;
}

/* "backend" is also "backend.example.org". */
static bool is_longer_form(const char *hostname, const char *name)
{
        size_t n = strcspn(hostname, ".");

        return n > 0 && strncasecmp(hostname, name, n) == 0 && name[n] == '.';
}

bool ca_names_are_ours(const TlsNames *names, const char *public_url)
{
        _cleanup_(tls_names_done) TlsNames own = {};
        char hostname[256] = "";

        if (gethostname(hostname, sizeof(hostname) - 1) < 0 || tls_names_of_host(false, &own) < 0)
                return false;
        for (size_t i = 0; i < names->n; i++)
                if (!tls_names_contain(&own, names->names[i]) && !is_host_of(public_url, names->names[i]) &&
                    (names->is_address[i] || !is_longer_form(hostname, names->names[i])))
                        return false;
        return names->n > 0;
}

/* ---- Hosts that may join ---- */

static int file_of(const char *token, char ret[static sizeof(PREFIX) + TOKEN_ID_MAX])
{
        size_t n = strlen(token);

        if (n == 0 || n >= TOKEN_ID_MAX || strspn(token, "abcdefghijklmnopqrstuvwxyz234567-") != n)
                return -EINVAL;
        snprintf(ret, sizeof(PREFIX) + TOKEN_ID_MAX, PREFIX "%s", token);
        return 0;
}

static int read_line(Ca *c, const char *file, char **ret)
{
        _cleanup_close_ int fd = openat(c->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 ? -errno : read_at_most(fd, LINE_MAX_, ret, NULL);
}

static int read_admitted(Ca *c, const char *file, uint64_t *ret_until, char ret_secret[static JOIN_SECRET_MAX])
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_line(c, file, &text);
        if (r < 0)
                return r;
        r = sscanf(text, "%" SCNu64 " %32[0-9a-f]", ret_until, ret_secret) == 2 ? 0 : -EBADMSG;
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): set when r >= 0 */
        explicit_bzero(text, strlen(text));
        return r;
}

/* Removes those whose time is over; returns how many are left. */
static int count_admitted(Ca *c)
{
        uint64_t now = now_usec(CLOCK_REALTIME);
        struct dirent *e;
        int n = 0, fd;
        DIR *d;

        fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        d = fdopendir(fd);
        if (!d) {
                close(fd);
                return -ENOMEM;
        }
        while ((e = readdir(d))) {
                char secret[JOIN_SECRET_MAX] = "";
                uint64_t until = 0;

                if (!startswith(e->d_name, PREFIX))
                        continue;
                if (read_admitted(c, e->d_name, &until, secret) < 0 || until <= now)
                        (void) unlinkat(c->dir, e->d_name, 0);
                else
                        n++;
                explicit_bzero(secret, sizeof(secret));
        }
        closedir(d);
        return n;
}

int ca_admit(Ca *c, const char *token, uint64_t until, char **ret_secret)
{
        char file[sizeof(PREFIX) + TOKEN_ID_MAX], secret[JOIN_SECRET_MAX], line[LINE_MAX_];
        int r;

        r = file_of(token, file);
        if (r >= 0)
                r = count_admitted(c);
        if (r >= ADMITTED_MAX)
                r = -E2BIG;
        if (r >= 0)
                r = join_secret_new(secret);
        if (r < 0)
                return r;
        snprintf(line, sizeof(line), "%" PRIu64 " %s\n", until, secret);
        r = replace_file_at(c->dir, file, 0600, line, strlen(line));
        if (r >= 0) {
                *ret_secret = strdup(secret);
                r = *ret_secret ? 0 : -ENOMEM;
        }
        explicit_bzero(secret, sizeof(secret));
        explicit_bzero(line, sizeof(line));
        return r;
}

int ca_withdraw(Ca *c, const char *token)
{
        char file[sizeof(PREFIX) + TOKEN_ID_MAX];
        int r;

        r = file_of(token, file);
        if (r < 0)
                return r;
        return unlinkat(c->dir, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int ca_use(Ca *c, const char *token, const char *public_key, const TlsNames *names, const char *proof)
{
        char file[sizeof(PREFIX) + TOKEN_ID_MAX], secret[JOIN_SECRET_MAX] = "";
        uint64_t until = 0;
        int r;

        r = file_of(token, file);
        if (r >= 0)
                r = read_admitted(c, file, &until, secret);
        if (r >= 0 && (until <= now_usec(CLOCK_REALTIME) || !join_proof_matches(secret, public_key, names, proof)))
                r = -EACCES;
        explicit_bzero(secret, sizeof(secret));
        if (r < 0)
                return r == -ENOENT || r == -EINVAL ? -EACCES : r;
        return unlinkat(c->dir, file, 0) < 0 ? -errno : 0;
}

/* ---- Hosts that have joined ----
 *
 * A file for each, with the key of its last certificate and, until that one has proved a request, of the one before. */

static int host_file_of(const TlsNames *names, char **ret)
{
        const char *name = NULL;

        for (size_t i = 0; i < names->n && !name; i++)
                if (!names->is_address[i] && strcasecmp(names->names[i], "localhost") != 0)
                        name = names->names[i];
        if (!name || strlen(name) > HOST_LENGTH)
                return -ENOENT;
        if (asprintf(ret, HOST_PREFIX "%s", name) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        for (char *s = *ret; *s; s++)
                *s = (char) tolower((unsigned char) *s);
        return 0;
}

static int read_host(Ca *c, const char *file, char ret_last[static PEM_PIN_MAX], char ret_before[static PEM_PIN_MAX])
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_line(c, file, &text);
        if (r < 0)
                return r;
        ret_before[0] = '\0';
        return sscanf(text, "%63s %63s", ret_last, ret_before) >= 1 ? 0 : -EBADMSG;
}

int ca_remember(Ca *c, const char *cert_text, const char *before)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_(x509_freep) X509 *cert = NULL;
        char pin[PEM_PIN_MAX], line[LINE_MAX_];
        _cleanup_free_ char *file = NULL;
        int r;

        r = pem_text_to_cert(cert_text, &cert);
        if (r >= 0)
                r = pem_pin_of_cert(cert, pin);
        if (r >= 0)
                r = tls_names_of_cert(cert, &names);
        if (r >= 0)
                r = host_file_of(&names, &file);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        snprintf(line, sizeof(line), "%s %s\n", pin, strempty(before));
        return replace_file_at(c->dir, file, 0600, line, strlen(line));
}

static bool is_valid_now(X509 *cert)
{
        return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
               X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

int ca_may_renew(Ca *c, const char *cert_text, const char *public_key, const char *proof, TlsNames *ret_names,
                 char ret_before[static PEM_PIN_MAX])
{
        char pin[PEM_PIN_MAX], last[PEM_PIN_MAX], before[PEM_PIN_MAX];
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_(x509_freep) X509 *cert = NULL;
        _cleanup_free_ char *file = NULL;
        int r;

        r = pem_text_to_cert(cert_text, &cert);
        if (r < 0)
                return r;
        if (!c->cert || !pem_key_is_p256(X509_get0_pubkey(cert)) || X509_verify(cert, X509_get0_pubkey(c->cert)) != 1 ||
            X509_check_ca(cert) != 0 || !is_valid_now(cert) || !renew_proof_matches(cert, cert_text, public_key, proof))
                return -EACCES;
        r = tls_names_of_cert(cert, &names);
        if (r >= 0)
                r = host_file_of(&names, &file);
        if (r >= 0)
                r = read_host(c, file, last, before);
        if (r >= 0)
                r = pem_pin_of_cert(cert, pin);
        if (r < 0)
                return r == -ENOENT ? -EACCES : r;
        if (!streq(pin, last) && !streq(pin, before))
                return -EACCES;
        memcpy(ret_before, pin, sizeof(pin));
        *ret_names = names;
        names = (TlsNames){};
        return 0;
}
