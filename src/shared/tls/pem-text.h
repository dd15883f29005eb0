/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Certificates and keys as PEM text, as they travel. All keys are on P-256. */

#include "shared/tls/pem-file.h"

/* The caller frees the text. */
int pem_text_of_cert(X509 *cert, char **ret);
int pem_text_of_public(EVP_PKEY *key, char **ret);
/* Erase it before it is freed. */
int pem_text_of_private(EVP_PKEY *key, char **ret);

/* -EBADMSG when the text holds something else. */
int pem_text_to_cert(const char *text, X509 **ret);
int pem_text_to_public(const char *text, EVP_PKEY **ret);
int pem_text_to_private(const char *text, EVP_PKEY **ret);

bool pem_key_is_p256(EVP_PKEY *key);

/* What curl calls a pinned public key: "sha256//" and the hash of the certificate's key in base64. */
#define PEM_PIN_MAX 64
int pem_pin_of_cert(X509 *cert, char ret[static PEM_PIN_MAX]);
