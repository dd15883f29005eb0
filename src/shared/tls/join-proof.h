/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host that joins proves to the certificate authority's helper that key and names are its own: with a secret that the
 * backend, which passes the request on, never learns (docs/adr/0054). */

#include "shared/tls/issue.h"

#define JOIN_SECRET_MAX 33 /* 128 random bits in hexadecimal digits */
#define JOIN_PROOF_MAX  65

/* The part of a join token between the backend's and the authority's. */
#define JOIN_TOKEN_SEPARATOR '.'

int join_secret_new(char ret[static JOIN_SECRET_MAX]);
/* public_key: as PEM text. */
int join_proof(const char *secret, const char *public_key, const TlsNames *names, char ret[static JOIN_PROOF_MAX]);
bool join_proof_matches(const char *secret, const char *public_key, const TlsNames *names, const char *proof);
