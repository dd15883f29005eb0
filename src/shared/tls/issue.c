/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "shared/tls/issue.h"

#define DAY_SEC     86400L
#define CA_DAYS     3650
#define SERVER_DAYS 397
#define SERIAL_SIZE 16
#define CN_MAX      64

void tls_names_done(TlsNames *n)
{
        while (n->n > 0)
                free(n->names[--n->n]);
}

/* Ignores duplicates, and names beyond the limit. */
static int names_add(TlsNames *n, const char *name, bool is_address)
{
        for (size_t i = 0; i < n->n; i++)
                if (strcasecmp(n->names[i], name) == 0)
                        return 0;
        if (n->n >= TLS_NAMES_MAX)
                return 0;
        n->names[n->n] = strdup(name);
        if (!n->names[n->n])
                return -ENOMEM;
        n->is_address[n->n++] = is_address;
        return 0;
}

static bool is_dns_name(const char *s)
{
        size_t n = strlen(s);

        return n > 0 && n <= 253 && s[0] != '-' && s[0] != '.' &&
               strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n;
}

int tls_names_add(TlsNames *n, const char *name)
{
        unsigned char address[sizeof(struct in6_addr)];
        bool is_address = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;

        if (!is_address && !is_dns_name(name))
                return -EINVAL;
        return n->n >= TLS_NAMES_MAX && !tls_names_contain(n, name) ? -E2BIG : names_add(n, name, is_address);
}

bool tls_names_contain(const TlsNames *n, const char *name)
{
        for (size_t i = 0; i < n->n; i++)
                if (strcasecmp(n->names[i], name) == 0)
                        return true;
        return false;
}

static int add_interfaces(TlsNames *names)
{
        struct ifaddrs *list;
        int r = 0;

        if (getifaddrs(&list) < 0)
                return -errno;
        for (struct ifaddrs *i = list; i && r >= 0; i = i->ifa_next) {
                char address[INET6_ADDRSTRLEN];
                const void *p = NULL;

                if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
                        continue;
                if (i->ifa_addr->sa_family == AF_INET)
                        p = &((struct sockaddr_in *) i->ifa_addr)->sin_addr;
                else if (i->ifa_addr->sa_family == AF_INET6) {
                        const struct in6_addr *a = &((struct sockaddr_in6 *) i->ifa_addr)->sin6_addr;

                        /* A link-local address is meaningless without its link. */
                        if (!IN6_IS_ADDR_LINKLOCAL(a))
                                p = a;
                }
                if (p && inet_ntop(i->ifa_addr->sa_family, p, address, sizeof(address)))
                        r = names_add(names, address, true);
        }
        freeifaddrs(list);
        return r;
}

static int add_fqdn(TlsNames *names, const char *hostname)
{
        struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *list;
        int r = 0;

        if (getaddrinfo(hostname, NULL, &hints, &list) != 0)
                return 0;
        if (list->ai_canonname && is_dns_name(list->ai_canonname))
                r = names_add(names, list->ai_canonname, false);
        freeaddrinfo(list);
        return r;
}

int tls_names_of_host(bool with_fqdn, TlsNames *ret)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        char hostname[256] = "";
        int r;

        if (gethostname(hostname, sizeof(hostname) - 1) < 0)
                return -errno;
        r = names_add(&names, "localhost", false);
        if (r >= 0 && is_dns_name(hostname))
                r = names_add(&names, hostname, false);
        if (r >= 0)
                r = names_add(&names, "127.0.0.1", true);
        if (r >= 0)
                r = names_add(&names, "::1", true);
        if (r >= 0)
                r = add_interfaces(&names);
        if (r >= 0 && with_fqdn)
                r = add_fqdn(&names, hostname);
        if (r < 0)
                return r;
        *ret = names;
        names = (TlsNames){};
        return 0;
}

static int add_general_name(TlsNames *names, const GENERAL_NAME *g)
{
        _cleanup_free_ char *dns = NULL;
        char address[INET6_ADDRSTRLEN];
        int family;

        if (g->type == GEN_DNS) {
                dns = memdup_string((const char *) ASN1_STRING_get0_data(g->d.dNSName),
                                    (size_t) ASN1_STRING_length(g->d.dNSName));
                return dns ? tls_names_add(names, dns) : -ENOMEM;
        }
        if (g->type != GEN_IPADD)
                return -EINVAL;
        family = ASN1_STRING_length(g->d.iPAddress) == sizeof(struct in_addr)  ? AF_INET :
                 ASN1_STRING_length(g->d.iPAddress) == sizeof(struct in6_addr) ? AF_INET6 :
                                                                                 AF_UNSPEC;
        if (!inet_ntop(family, ASN1_STRING_get0_data(g->d.iPAddress), address, sizeof(address)))
                return -EINVAL;
        return tls_names_add(names, address);
}

int tls_names_of_cert(X509 *cert, TlsNames *ret)
{
        GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
        _cleanup_(tls_names_done) TlsNames names = {};
        int r = list ? 0 : -EINVAL;

        for (int i = 0; i < sk_GENERAL_NAME_num(list) && r >= 0; i++)
                r = add_general_name(&names, sk_GENERAL_NAME_value(list, i));
        GENERAL_NAMES_free(list);
        if (r < 0)
                return r;
        *ret = names;
        names = (TlsNames){};
        return 0;
}

bool tls_names_covered_by(const TlsNames *n, X509 *cert)
{
        for (size_t i = 0; i < n->n; i++)
                if ((n->is_address[i] ? X509_check_ip_asc(cert, n->names[i], 0) :
                                        X509_check_host(cert, n->names[i], 0, 0, NULL)) != 1)
                        return false;
        return true;
}

int tls_key_new(EVP_PKEY **ret)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");

        if (!key)
                return -EIO;
        *ret = key;
        return 0;
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
        X509_EXTENSION *e;
        X509V3_CTX ctx;
        int r;

        X509V3_set_ctx_nodb(&ctx);
        X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        if (!e)
                return -EIO;
        r = X509_add_ext(cert, e, -1) == 1 ? 0 : -EIO;
        X509_EXTENSION_free(e);
        return r;
}

static int set_serial(X509 *cert)
{
        unsigned char bytes[SERIAL_SIZE];
        BIGNUM *n;
        int r = -EIO;

        if (RAND_bytes(bytes, sizeof(bytes)) != 1)
                return -EIO;
        bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, of fixed length */
        n = BN_bin2bn(bytes, sizeof(bytes), NULL);
        if (n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)))
                r = 0;
        BN_free(n);
        return r;
}

static int cert_new(const char *cn, long days, EVP_PKEY *key, X509 *issuer, X509 **ret)
{
        _cleanup_(x509_freep) X509 *cert = X509_new();
        char name[CN_MAX + 1];

        snprintf(name, sizeof(name), "%s", cn);
        if (!cert || set_serial(cert) < 0 || X509_set_version(cert, X509_VERSION_3) != 1 ||
            !X509_gmtime_adj(X509_getm_notBefore(cert), -3600) ||
            !X509_gmtime_adj(X509_getm_notAfter(cert), days * DAY_SEC) ||
            X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8, (unsigned char *) name, -1, -1,
                                       0) != 1 ||
            X509_set_issuer_name(cert, X509_get_subject_name(issuer ?: cert)) != 1 || X509_set_pubkey(cert, key) != 1)
                return -EIO;
        *ret = TAKE_PTR(cert);
        return 0;
}

int tls_ca_new(EVP_PKEY *key, X509 **ret)
{
        _cleanup_(x509_freep) X509 *cert = NULL;
        char hostname[256] = "", cn[sizeof(hostname) + 32];
        int r;

        if (gethostname(hostname, sizeof(hostname) - 1) < 0)
                return -errno;
        snprintf(cn, sizeof(cn), "SSI private CA of %s", hostname);
        r = cert_new(cn, CA_DAYS, key, NULL, &cert);
        if (r < 0)
                return r;
        /* No name constraints: the host's names and addresses change, and agents trust this very certificate. */
        if (add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") < 0 ||
            add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") < 0 ||
            add_extension(cert, cert, NID_ext_key_usage, "serverAuth") < 0 ||
            add_extension(cert, cert, NID_subject_key_identifier, "hash") < 0 ||
            X509_sign(cert, key, EVP_sha256()) == 0)
                return -EIO;
        *ret = TAKE_PTR(cert);
        return 0;
}

int tls_server_new(const TlsNames *names, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, X509 **ret)
{
        _cleanup_(x509_freep) X509 *cert = NULL;
        char san[TLS_NAMES_MAX * 270] = "";
        size_t n = 0;
        int r;

        for (size_t i = 0; i < names->n; i++)
                n += (size_t) snprintf(san + n, sizeof(san) - n, "%s%s:%s", i > 0 ? "," : "",
                                       names->is_address[i] ? "IP" : "DNS", names->names[i]);
        /* The second name is the host's own, if it has a usable one. */
        r = cert_new(names->n > 1 ? names->names[1] : "localhost", SERVER_DAYS, key, ca, &cert);
        if (r < 0)
                return r;
        if (add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
            add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") < 0 ||
            add_extension(cert, ca, NID_ext_key_usage, "serverAuth") < 0 ||
            add_extension(cert, ca, NID_subject_key_identifier, "hash") < 0 ||
            add_extension(cert, ca, NID_authority_key_identifier, "keyid:always") < 0 ||
            add_extension(cert, ca, NID_subject_alt_name, san) < 0 || X509_sign(cert, ca_key, EVP_sha256()) == 0)
                return -EIO;
        *ret = TAKE_PTR(cert);
        return 0;
}
