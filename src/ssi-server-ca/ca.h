/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The private certificate authority: its key and certificate in a folder that only root can read, and the hosts that may
 * join. Blocking. */

#include "shared/tls/issue.h"
#include "shared/tls/pem-text.h"

#define ADMITTED_MAX 32

typedef struct Ca {
        int dir;
        X509 *cert;
        EVP_PKEY *key;
} Ca;

int ca_open(const char *path, Ca *ret);
void ca_close(Ca *c);

/* Takes over the authority that an earlier version of the backend made. -EEXIST if there is another one, -EBADMSG if key and
 * certificate do not belong together. */
int ca_adopt(Ca *c, const char *cert, const char *key);

/* Signs a certificate for a server with this key (PEM), after making the authority if there is none or it expires within 30
 * days. The caller frees both texts. */
int ca_sign(Ca *c, const char *public_key, const TlsNames *names, char **ret_cert, char **ret_authority);

/* Whether the names are this host's own: its host name and longer forms of it, its addresses, and the host of public_url (may be NULL). */
bool ca_names_are_ours(const TlsNames *names, const char *public_url);

/* Admits one host, once, until the time (usec since the epoch); token is the id of its join token. Returns the secret with which
 * it proves its request. -EINVAL for an unusable id, -E2BIG when ADMITTED_MAX wait. */
int ca_admit(Ca *c, const char *token, uint64_t until, char **ret_secret);
/* Withdraws that; 0 also if there is nothing to withdraw. */
int ca_withdraw(Ca *c, const char *token);
/* Checks the proof of an admitted host (shared/tls/join-proof.h), which is admitted no longer then. -EACCES if it is wrong or too late. */
int ca_use(Ca *c, const char *token, const char *public_key, const TlsNames *names, const char *proof);

/* ---- Hosts that have joined ---- */

/* Remembers whom a certificate (PEM, of ca_sign()) was made for: its key can prove the next request. before: the key of the certificate
 * that it replaces, of ca_may_renew(), which stays good until the new one is used, as the answer may get lost; NULL: no key of before is
 * good any more. 0 also for a host without a name of its own, which then cannot renew. */
int ca_remember(Ca *c, const char *cert, const char *before);

/* Checks the proof of a host that has joined (shared/tls/renew-proof.h), and returns the names of its certificate and what to hand to
 * ca_remember(). -EACCES unless the certificate is ours, has not ended, and is the host's last one. */
int ca_may_renew(Ca *c, const char *cert, const char *public_key, const char *proof, TlsNames *ret_names,
                 char ret_before[static PEM_PIN_MAX]);
