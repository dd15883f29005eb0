/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads and writes keys and certificates in PEM files. Blocking. */

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

/* name: relative to the open folder dir, or absolute; never a symbolic link. Either pointer may be NULL if
 * that part is not needed. -ENOENT when the file is missing, -EBADMSG when it lacks what is asked for. */
int pem_file_read(int dir, const char *name, X509 **ret_cert, EVP_PKEY **ret_key);

/* Writes a certificate and a key (either may be NULL) atomically and durably. */
int pem_file_write(int dir, const char *name, mode_t mode, X509 *cert, EVP_PKEY *key);
