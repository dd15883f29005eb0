/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Issues X.509 certificates for one private CA and one server, with OpenSSL. */

#include "shared/tls/pem-file.h"

#define TLS_NAMES_MAX 64

/* DNS names and numeric addresses, as written in a certificate. */
typedef struct TlsNames {
        char *names[TLS_NAMES_MAX];
        bool is_address[TLS_NAMES_MAX];
        size_t n;
} TlsNames;

void tls_names_done(TlsNames *n);
/* localhost, the host name, the loopback addresses and those of the interfaces. with_fqdn adds the full name
 * from the resolver, which may take a while. */
int tls_names_of_host(bool with_fqdn, TlsNames *ret);
/* A DNS name without wildcards, or a numeric address. -EINVAL for anything else, -E2BIG for too many; 0 also for one that is
 * there already. */
int tls_names_add(TlsNames *n, const char *name);
bool tls_names_contain(const TlsNames *n, const char *name);
/* Those that a certificate is for. */
int tls_names_of_cert(X509 *cert, TlsNames *ret);
bool tls_names_covered_by(const TlsNames *n, X509 *cert);

int tls_key_new(EVP_PKEY **ret);
int tls_ca_new(EVP_PKEY *key, X509 **ret);
/* key: its public half is enough. */
int tls_server_new(const TlsNames *names, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, X509 **ret);
