/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keys and certificates in PEM files. Blocking. */

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "shared/util.h"

static inline void evp_pkey_freep(EVP_PKEY **p)
{
        EVP_PKEY_free(*p);
}

static inline void x509_freep(X509 **p)
{
        X509_free(*p);
}

static inline void bio_freep(BIO **b)
{
        BIO_free(*b);
}

/* name: relative to the open folder dir, or absolute; no symbolic link. Either pointer may be NULL, for what is not
 * looked for. -ENOENT for a file that is not there, -EBADMSG for one that does not hold what it should. */
int pem_file_read(int dir, const char *name, X509 **ret_cert, EVP_PKEY **ret_key);

/* Writes certificate and key, of which one may be NULL, in one step and durably. */
int pem_file_write(int dir, const char *name, mode_t mode, X509 *cert, EVP_PKEY *key);
