/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host that has joined proves to the certificate authority's helper that a request for its next certificate is its own: with the key
 * of the one that it has (docs/adr/0065). */

#include "shared/tls/pem-file.h"

/* key: of the certificate. Both texts are PEM, as they travel. Returns the signature in hexadecimal digits, to be freed. */
int renew_proof(EVP_PKEY *key, const char *certificate, const char *public_key, char **ret);
bool renew_proof_matches(X509 *cert, const char *certificate, const char *public_key, const char *proof);
