/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <openssl/x509v3.h>

#include "ca.h"
#include "shared/time-util.h"
#include "shared/tls/join-proof.h"
#include "shared/tls/renew-proof.h"
#include "test.h"

static char dir[] = "/tmp/test-server-ca-XXXXXX";

static void open_ca(Ca *c)
{
        assert_int_equal(ca_open(dir, c), 0);
}

static int setup(void **state)
{
        assert_non_null(mkdtemp(dir));
        return 0;
}

static int teardown(void **state)
{
        DIR *d = opendir(dir);
        struct dirent *e;

        while (d && (e = readdir(d)))
                (void) unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                closedir(d);
        return rmdir(dir);
}

static void new_key(EVP_PKEY **ret, char **ret_public)
{
        assert_int_equal(tls_key_new(ret), 0);
        assert_int_equal(pem_text_of_public(*ret, ret_public), 0);
}

static void fill_names(TlsNames *n, const char *a, const char *b)
{
        assert_int_equal(tls_names_add(n, a), 0);
        if (b)
                assert_int_equal(tls_names_add(n, b), 0);
}

static uint64_t in_an_hour(void)
{
        return now_usec(CLOCK_REALTIME) + 3600 * USEC_PER_SEC;
}

static void test_names(void **state)
{
        static const char *const bad[] = { "*.example.org", "", "a b", "DNS:x", "-x", "x,IP:192.0.2.1", "x\ny" };
        _cleanup_(tls_names_done) TlsNames n = {}, many = {};
        char name[16];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(tls_names_add(&n, bad[i]), -EINVAL);
        fill_names(&n, "b.example.org", "2001:db8::1");
        assert_false(n.is_address[0]);
        assert_true(n.is_address[1]);
        assert_true(tls_names_contain(&n, "B.example.org"));
        for (unsigned i = 0; i < TLS_NAMES_MAX; i++) {
                snprintf(name, sizeof(name), "n%u", i);
                assert_int_equal(tls_names_add(&many, name), 0);
        }
        assert_int_equal(tls_names_add(&many, "n0"), 0);
        assert_int_equal(tls_names_add(&many, "one-more"), -E2BIG);
}

static void test_whose_names(void **state)
{
        static const char *const foreign[] = { "mail.example.org", "192.0.2.77", "backend.example.com" };
        char hostname[256] = "", longer[512];

        assert_int_equal(gethostname(hostname, sizeof(hostname) - 1), 0);
        hostname[strcspn(hostname, ".")] = '\0';
        snprintf(longer, sizeof(longer), "%s.example.org", hostname);
        for (size_t i = 0; i < ELEMENTSOF(foreign); i++) {
                _cleanup_(tls_names_done) TlsNames n = {};

                fill_names(&n, "localhost", foreign[i]);
                assert_false(ca_names_are_ours(&n, "https://backend.example.org:8443"));
        }
        {
                _cleanup_(tls_names_done) TlsNames n = {};

                fill_names(&n, "127.0.0.1", longer);
                assert_true(ca_names_are_ours(&n, NULL));
                fill_names(&n, "backend.example.org", NULL);
                assert_false(ca_names_are_ours(&n, NULL));
                assert_true(ca_names_are_ours(&n, "https://backend.example.org:8443"));
                assert_true(ca_names_are_ours(&n, "https://backend.example.org"));
        }
}

static void test_signs(void **state)
{
        _cleanup_free_ char *public = NULL, *cert_text = NULL, *authority_text = NULL, *again = NULL, *same = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL, *authority = NULL;
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(tls_names_done) TlsNames n = {};
        Ca c = {};

        open_ca(&c);
        assert_null(c.cert);
        new_key(&key, &public);
        fill_names(&n, "localhost", "b.example.org");
        assert_int_equal(ca_sign(&c, "nonsense", &n, &cert_text, &authority_text), -EBADMSG);
        assert_null(c.cert);
        assert_int_equal(ca_sign(&c, public, &n, &cert_text, &authority_text), 0);
        assert_int_equal(pem_text_to_cert(cert_text, &cert), 0);
        assert_int_equal(pem_text_to_cert(authority_text, &authority), 0);
        assert_int_equal(X509_verify(cert, X509_get0_pubkey(authority)), 1);
        assert_int_equal(X509_check_private_key(cert, key), 1);
        assert_int_equal(X509_check_host(cert, "b.example.org", 0, 0, NULL), 1);
        assert_int_equal(X509_check_ca(cert), 0);
        ca_close(&c);

        /* The same one after a restart. */
        open_ca(&c);
        assert_int_equal(ca_sign(&c, public, &n, &again, &same), 0);
        assert_string_equal(same, authority_text);
        ca_close(&c);
}

static void test_adopts_once(void **state)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL, *other = NULL;
        _cleanup_free_ char *key_text = NULL, *cert_text = NULL, *other_text = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        Ca c = {};

        assert_int_equal(tls_key_new(&key), 0);
        assert_int_equal(tls_key_new(&other), 0);
        assert_int_equal(tls_ca_new(key, &cert), 0);
        assert_int_equal(pem_text_of_cert(cert, &cert_text), 0);
        assert_int_equal(pem_text_of_private(key, &key_text), 0);
        assert_int_equal(pem_text_of_private(other, &other_text), 0);

        /* There is one, of the test before. */
        open_ca(&c);
        assert_int_equal(ca_adopt(&c, cert_text, key_text), -EEXIST);
        assert_int_equal(unlinkat(c.dir, "ca.pem", 0), 0);
        ca_close(&c);

        open_ca(&c);
        assert_int_equal(ca_adopt(&c, cert_text, other_text), -EBADMSG);
        assert_int_equal(ca_adopt(&c, cert_text, key_text), 0);
        assert_int_equal(ca_adopt(&c, cert_text, key_text), 0);
        ca_close(&c);
        open_ca(&c);
        assert_int_equal(X509_cmp(c.cert, cert), 0);
        ca_close(&c);
}

static void test_admits_once(void **state)
{
        _cleanup_free_ char *public = NULL, *secret = NULL, *changed = NULL;
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL, *theirs = NULL;
        _cleanup_(tls_names_done) TlsNames n = {}, more = {};
        char proof[JOIN_PROOF_MAX], bad[JOIN_PROOF_MAX];
        Ca c = {};

        open_ca(&c);
        new_key(&key, &public);
        new_key(&theirs, &changed);
        fill_names(&n, "b.example.org", NULL);
        fill_names(&more, "b.example.org", "www.example.org");
        assert_int_equal(ca_admit(&c, "../x", in_an_hour(), &secret), -EINVAL);
        assert_int_equal(ca_admit(&c, "jtk-abc", in_an_hour(), &secret), 0);
        assert_int_equal(strlen(secret), JOIN_SECRET_MAX - 1);
        assert_int_equal(join_proof(secret, public, &n, proof), 0);
        assert_int_equal(join_proof("0123456789abcdef0123456789abcdef", public, &n, bad), 0);

        /* Neither with another key nor for other names, nor by guessing; and a refusal uses nothing up. */
        assert_int_equal(ca_use(&c, "jtk-abc", changed, &n, proof), -EACCES);
        assert_int_equal(ca_use(&c, "jtk-abc", public, &more, proof), -EACCES);
        assert_int_equal(ca_use(&c, "jtk-abc", public, &n, bad), -EACCES);
        assert_int_equal(ca_use(&c, "jtk-abc", public, &n, ""), -EACCES);
        assert_int_equal(ca_use(&c, "jtk-other", public, &n, proof), -EACCES);
        assert_int_equal(ca_use(&c, "jtk-abc", public, &n, proof), 0);
        assert_int_equal(ca_use(&c, "jtk-abc", public, &n, proof), -EACCES);
        ca_close(&c);
}

static void test_admits_in_time(void **state)
{
        _cleanup_free_ char *public = NULL, *secret = NULL, *withdrawn = NULL;
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(tls_names_done) TlsNames n = {};
        char proof[JOIN_PROOF_MAX], id[32];
        Ca c = {};

        open_ca(&c);
        new_key(&key, &public);
        fill_names(&n, "b.example.org", NULL);
        assert_int_equal(ca_admit(&c, "jtk-late", now_usec(CLOCK_REALTIME) - 1, &secret), 0);
        assert_int_equal(join_proof(secret, public, &n, proof), 0);
        assert_int_equal(ca_use(&c, "jtk-late", public, &n, proof), -EACCES);

        assert_int_equal(ca_admit(&c, "jtk-gone", in_an_hour(), &withdrawn), 0);
        assert_int_equal(join_proof(withdrawn, public, &n, proof), 0);
        assert_int_equal(ca_withdraw(&c, "jtk-gone"), 0);
        assert_int_equal(ca_withdraw(&c, "jtk-gone"), 0);
        assert_int_equal(ca_use(&c, "jtk-gone", public, &n, proof), -EACCES);

        /* What is too late makes room. */
        for (unsigned i = 0; i < ADMITTED_MAX; i++) {
                _cleanup_free_ char *s = NULL;

                snprintf(id, sizeof(id), "jtk-%c%c", 'a' + (char) (i / 8), 'a' + (char) (i % 8));
                assert_int_equal(ca_admit(&c, id, in_an_hour(), &s), 0);
        }
        free(TAKE_PTR(secret));
        assert_int_equal(ca_admit(&c, "jtk-more", in_an_hour(), &secret), -E2BIG);
        ca_close(&c);
}

/* ---- Renewal ---- */

/* A certificate as a host that joins gets it, and what it needs for the next. */
typedef struct Host {
        EVP_PKEY *key;
        char *public, *cert;
} Host;

static void host_done(Host *h)
{
        EVP_PKEY_free(h->key);
        free(h->public);
        free(h->cert);
}

static void host_get(Ca *c, const TlsNames *names, const char *before, Host *ret)
{
        _cleanup_free_ char *authority = NULL;

        *ret = (Host){};
        new_key(&ret->key, &ret->public);
        assert_int_equal(ca_sign(c, ret->public, names, &ret->cert, &authority), 0);
        assert_int_equal(ca_remember(c, ret->cert, before), 0);
}

static int ask(Ca *c, const Host *h, const char *public_key, char ret_before[static PEM_PIN_MAX])
{
        _cleanup_(tls_names_done) TlsNames names = {};
        _cleanup_free_ char *proof = NULL;
        int r;

        assert_int_equal(renew_proof(h->key, h->cert, public_key, &proof), 0);
        r = ca_may_renew(c, h->cert, public_key, proof, &names, ret_before);
        if (r >= 0) {
                assert_int_equal(names.n, 3);
                assert_true(tls_names_contain(&names, "r.example.org") && tls_names_contain(&names, "2001:db8::7"));
        }
        return r;
}

static void test_renews(void **state)
{
        _cleanup_(host_done) Host first = {}, second = {}, third = {}, again = {}, other = {};
        _cleanup_(tls_names_done) TlsNames n = {}, others = {};
        char before[PEM_PIN_MAX];
        Ca c = {};

        open_ca(&c);
        fill_names(&n, "localhost", "R.example.org");
        fill_names(&n, "2001:db8::7", NULL);
        fill_names(&others, "s.example.org", NULL);
        host_get(&c, &n, NULL, &first);
        host_get(&c, &others, NULL, &other);

        /* The answer got lost: the one before is as good as the new one, until that is used. */
        assert_int_equal(ask(&c, &first, "next", before), 0);
        host_get(&c, &n, before, &second);
        assert_int_equal(ask(&c, &first, "next", before), 0);
        assert_int_equal(ask(&c, &second, "next", before), 0);
        host_get(&c, &n, before, &third);
        assert_int_equal(ask(&c, &first, "next", before), -EACCES);
        assert_int_equal(ask(&c, &second, "next", before), 0);
        ca_close(&c);

        /* Also after a restart. Whoever has joined again has a new beginning. */
        open_ca(&c);
        assert_int_equal(ask(&c, &third, "next", before), 0);
        host_get(&c, &n, NULL, &again);
        assert_int_equal(ask(&c, &third, "next", before), -EACCES);
        assert_int_equal(ask(&c, &again, "next", before), 0);
        ca_close(&c);
}

static void test_renews_for_nobody_else(void **state)
{
        _cleanup_(host_done) Host h = {}, thief = {};
        _cleanup_free_ char *proof = NULL, *foreign_text = NULL, *authority = NULL, *unknown = NULL;
        _cleanup_(evp_pkey_freep) EVP_PKEY *foreign_key = NULL;
        _cleanup_(x509_freep) X509 *foreign = NULL, *foreign_ca = NULL;
        _cleanup_(tls_names_done) TlsNames n = {}, got = {};
        char before[PEM_PIN_MAX];
        Ca c = {};

        open_ca(&c);
        fill_names(&n, "localhost", "r.example.org");
        fill_names(&n, "2001:db8::7", NULL);
        host_get(&c, &n, NULL, &h);
        assert_int_equal(renew_proof(h.key, h.cert, "next", &proof), 0);
        assert_int_equal(ca_may_renew(&c, "x", "next", proof, &got, before), -EBADMSG);
        /* Another key in the request, or none that has signed it. */
        assert_int_equal(ca_may_renew(&c, h.cert, "another", proof, &got, before), -EACCES);
        assert_int_equal(ca_may_renew(&c, h.cert, "next", "", &got, before), -EACCES);
        assert_int_equal(ca_may_renew(&c, h.cert, "next", "zz", &got, before), -EACCES);
        new_key(&thief.key, &thief.public);
        thief.cert = strdup(h.cert);
        assert_int_equal(ask(&c, &thief, "next", before), -EACCES);

        /* Of another authority; the authority's own; and one of ours that no host got by joining. */
        assert_int_equal(tls_key_new(&foreign_key), 0);
        assert_int_equal(tls_ca_new(foreign_key, &foreign_ca), 0);
        assert_int_equal(tls_server_new(&n, thief.key, foreign_ca, foreign_key, &foreign), 0);
        assert_int_equal(pem_text_of_cert(foreign, &foreign_text), 0);
        free(thief.cert);
        thief.cert = TAKE_PTR(foreign_text);
        assert_int_equal(ask(&c, &thief, "next", before), -EACCES);
        free(thief.cert);
        assert_int_equal(pem_text_of_cert(c.cert, &thief.cert), 0);
        assert_int_equal(ask(&c, &thief, "next", before), -EACCES);
        assert_int_equal(ca_sign(&c, thief.public, &n, &unknown, &authority), 0);
        free(thief.cert);
        thief.cert = TAKE_PTR(unknown);
        assert_int_equal(ask(&c, &thief, "next", before), -EACCES);
        assert_int_equal(ask(&c, &h, "next", before), 0);
        ca_close(&c);
}

/* What has ended is renewed no more, with whichever key. */
static void test_renews_in_time(void **state)
{
        _cleanup_(x509_freep) X509 *cert = NULL;
        _cleanup_(tls_names_done) TlsNames n = {};
        _cleanup_(host_done) Host h = {};
        char before[PEM_PIN_MAX];
        Ca c = {};

        open_ca(&c);
        fill_names(&n, "localhost", "r.example.org");
        fill_names(&n, "2001:db8::7", NULL);
        host_get(&c, &n, NULL, &h);
        assert_int_equal(pem_text_to_cert(h.cert, &cert), 0);
        assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), -60));
        assert_true(X509_sign(cert, c.key, EVP_sha256()) > 0);
        free(TAKE_PTR(h.cert));
        assert_int_equal(pem_text_of_cert(cert, &h.cert), 0);
        assert_int_equal(ask(&c, &h, "next", before), -EACCES);
        ca_close(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),          cmocka_unit_test(test_whose_names),
                cmocka_unit_test(test_signs),          cmocka_unit_test(test_adopts_once),
                cmocka_unit_test(test_admits_once),    cmocka_unit_test(test_admits_in_time),
                cmocka_unit_test(test_renews),         cmocka_unit_test(test_renews_for_nobody_else),
                cmocka_unit_test(test_renews_in_time),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
