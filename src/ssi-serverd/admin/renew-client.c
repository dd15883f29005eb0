/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>

#include "admin/first-host.h"
#include "admin/join-files.h"
#include "admin/renew-client.h"
#include "shared/json-util.h"
#include "shared/time-util.h"
#include "shared/tls/issue.h"
#include "shared/tls/pem-text.h"
#include "shared/tls/renew-proof.h"
#include "tls/tls.h"

uint64_t renew_due(uint64_t begin, uint64_t end)
{
        return end <= begin ? begin : end - (end - begin) / 3;
}

static _printf_(3, 4) int fail(char **ret_message, int r, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_message, format, ap) < 0)
                *ret_message = NULL;
        va_end(ap);
        return r;
}

static int make_body(X509 *cert, EVP_PKEY *key, EVP_PKEY *next, const char *host, json_object **ret)
{
        _cleanup_free_ char *certificate = NULL, *public_key = NULL, *proof = NULL;
        _cleanup_json_ json_object *o = json_object_new_object();
        int r;

        r = o ? pem_text_of_cert(cert, &certificate) : -ENOMEM;
        if (r >= 0)
                r = pem_text_of_public(next, &public_key);
        if (r >= 0)
                r = renew_proof(key, certificate, public_key, &proof);
        if (r >= 0)
                r = json_add_string(o, "host", host);
        if (r >= 0)
                r = json_add_string(o, "certificate", certificate);
        if (r >= 0)
                r = json_add_string(o, "public_key", public_key);
        if (r >= 0)
                r = json_add_string(o, "proof", proof);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

static int ask(const char *dir, json_object *body, X509 **ret_cert, char **ret_message)
{
        _cleanup_free_ char *address = NULL, *ca = NULL;
        _cleanup_json_ json_object *answer = NULL;
        const char *text;
        long status;
        int r;

        r = join_read_address(dir, &address);
        if (r < 0 || !address)
                return fail(ret_message, -ENOENT, "The address of the first host, in %s, is not readable.", dir);
        if (asprintf(&ca, "%s/" JOIN_CA, dir) < 0) {
                ca = NULL;
                return -ENOMEM;
        }
        r = first_host_post(&(FirstHost){ .address = address, .ca = ca }, "/api/v1/instances/renew", body, &status,
                            &answer, ret_message);
        if (r != 0)
                return -EIO;
        if (status == 404)
                return fail(ret_message, -EPROTO, "%s cannot renew it: its version is older.", address);
        if (status != 200)
                return fail(ret_message, -EPROTO, "%s refused (%ld): %s", address, status,
                            json_get_string(answer, "detail") ?: "no reason given");
        text = json_get_string(answer, "certificate");
        if (!text || pem_text_to_cert(text, ret_cert) < 0)
                return fail(ret_message, -EBADMSG, "%s did not answer with a certificate.", address);
        return 0;
}

/* What agents that trust the authority accept for this host, as they did the one before. */
static int check(int dir, X509 *cert, EVP_PKEY *key, X509 *before)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_(x509_freep) X509 *ca = NULL;
        int r;

        r = pem_file_read(dir, JOIN_CA, &ca, NULL);
        if (r >= 0)
                r = tls_names_of_cert(before, &names);
        if (r < 0)
                return r;
        return X509_check_private_key(cert, key) == 1 && X509_verify(cert, X509_get0_pubkey(ca)) == 1 &&
                               tls_names_covered_by(&names, cert) &&
                               ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(before)) > 0 ?
                       0 :
                       -EBADMSG;
}

static bool is_due(const char *dir)
{
        _cleanup_free_ char *path = NULL;
        uint64_t begin, end;

        if (asprintf(&path, "%s/" JOIN_CERT, dir) < 0) {
                path = NULL;
                return false;
        }
        return tls_certificate_times(path, &begin, &end) >= 0 && renew_due(begin, end) <= now_usec(CLOCK_REALTIME);
}

int renew_perform(const char *dir, const char *host, char **ret_message)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL, *next = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL, *renewed = NULL;
        _cleanup_json_ json_object *body = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        *ret_message = NULL;
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX) < 0)
                return fail(ret_message, -errno, "Cannot open %s: %s", dir, strerror(errno));
        if (!is_due(dir))
                return 0;
        r = pem_file_read(fd, JOIN_CERT, &cert, &key);
        if (r >= 0)
                r = tls_key_new(&next);
        if (r >= 0)
                r = make_body(cert, key, next, host, &body);
        if (r < 0)
                return fail(ret_message, r, "Cannot make the request: %s", strerror(-r));
        r = ask(dir, body, &renewed, ret_message);
        if (r < 0)
                return r;
        r = check(fd, renewed, next, cert);
        if (r < 0)
                return fail(ret_message, r,
                            "The first host answered with a certificate that does not replace this one.");
        r = pem_file_write(fd, JOIN_CERT, 0600, renewed, next);
        return r < 0 ? fail(ret_message, r, "Cannot write to %s: %s", dir, strerror(-r)) : 1;
}
