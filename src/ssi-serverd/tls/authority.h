/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks the helper that holds the key of the private certificate authority (org.ssi.ServerCA1, docs/adr/0054), which this process
 * must not have. Blocking, on a connection of its own: for a worker thread, or before the loop runs. -ENOTCONN: there is no
 * helper, or no bus. ret_message (may be NULL): the helper's sentence when it refuses, to be freed. */

#include "shared/tls/issue.h"

/* A certificate for this host. key: its public half is sent. */
int authority_certificate(EVP_PKEY *key, const TlsNames *names, X509 **ret_cert, X509 **ret_authority);

/* Hands over the authority that this process had. */
int authority_adopt(X509 *cert, EVP_PKEY *key);

/* A certificate for a host that joins: see shared/tls/join-proof.h. The caller frees the texts (PEM). -EACCES: not admitted. */
typedef struct AuthorityRequest {
        const char *token;      /* id of its join token */
        const char *public_key; /* PEM */
        TlsNames names;
        const char *proof;
} AuthorityRequest;
int authority_sign_host(const AuthorityRequest *q, char **ret_cert, char **ret_authority, char **ret_message);

/* The next certificate of a host that has joined: see shared/tls/renew-proof.h. As authority_sign_host(). */
typedef struct AuthorityRenewal {
        const char *cert; /* PEM, as are both */
        const char *public_key;
        const char *proof;
} AuthorityRenewal;
int authority_renew_host(const AuthorityRenewal *q, char **ret_cert, char **ret_message);
