/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the certificate comes from: named by the administrator, else made here under a private CA. Blocking; all of it
 * may run in a worker thread. */

#include "shared/util.h"

typedef struct TlsFiles {
        char *cert; /* PEM chain */
        char *key;  /* PEM; may be the same file */
} TlsFiles;

void tls_files_done(TlsFiles *f);

/* Those given (may be NULL), else tls.cert and tls.key in $CREDENTIALS_DIRECTORY. 1 when found, 0 when there is
 * neither; -EINVAL for one without the other. */
int tls_files_find(const char *cert, const char *key, TlsFiles *ret);

/* Whether the certificate and the key can be used, and with each other: -EBADMSG when not, or why they cannot be read. */
int tls_files_check(const TlsFiles *f);

/* Makes sure that dir holds ca.pem (readable by all), ca.key and server.pem, a certificate with its key for the names
 * and addresses of this host. Makes what is missing, and the certificate again when it ends within 30 days or a name
 * or address has come. Each file is replaced in one step. 1 when server.pem is new, 0 when nothing had to be done;
 * ret names the files in both cases. Instances that do this at the same time wait for each other. */
int tls_files_ensure(const char *dir, TlsFiles *ret);
