/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds the server's certificate: the administrator's, or one made here under a private CA. Blocking, but
 * safe in a worker thread. */

#include "shared/util.h"

typedef struct TlsFiles {
        char *cert; /* PEM chain */
        char *key;  /* PEM; may be the same file */
} TlsFiles;

void tls_files_done(TlsFiles *f);

/* Takes the given files (may be NULL), or else tls.cert and tls.key in $CREDENTIALS_DIRECTORY. Returns 1
 * when found, 0 when there are none; -EINVAL for one without the other. */
int tls_files_find(const char *cert, const char *key, TlsFiles *ret);

/* Checks that the certificate and the key are usable and match: -EBADMSG if not, or the error of reading
 * them. */
int tls_files_check(const TlsFiles *f);

/* When the first certificate in the file begins and ends, usec since the epoch. -EBADMSG when there is none. */
int tls_certificate_times(const char *file, uint64_t *ret_begin, uint64_t *ret_end);

/* Makes sure that dir holds ca.pem (readable by all) and server.pem, a certificate with its key for the names and addresses of
 * this host. Makes what is missing, and renews the certificate when it expires within 30 days or a name or address was added.
 * Replaces each file atomically. Returns 1 when server.pem is new, 0 when nothing was to do; ret names the files in both cases.
 * Concurrent instances wait for each other.
 *
 * helper: the authority's key is with a helper (tls/authority.h), which also takes over one that is here. Where no helper
 * answers, as in a container, ca.key is here, beside ca.pem; it is made only where there is no authority at all. */
int tls_files_ensure(const char *dir, bool helper, TlsFiles *ret);
