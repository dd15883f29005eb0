/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a host that joins keeps: files in a folder of its own, which go when it leaves. */

#include "shared/json-util.h"
#include "shared/tls/pem-file.h"

/* In the folder. systemd reads JOIN_CONF before serverd.conf, which therefore overrides it. */
#define JOIN_CONF    "serverd.conf"
#define JOIN_ADDRESS "address"    /* of the first host */
#define JOIN_LEFT    "left"       /* exists after the host has left */
#define JOIN_CERT    "server.pem" /* certificate and key, of the backend's authority */
#define JOIN_CA      "ca.pem"

typedef struct JoinFiles {
        const char *address;
        json_object *settings, *own_settings; /* see config/share.h; own ones are not written */
        EVP_PKEY *key;                        /* NULL without a certificate of the backend's authority */
        X509 *cert, *ca;
        const char *push_key; /* PEM text, or NULL */
} JoinFiles;

/* The settings come last: with them, the host has joined. */
int join_files_write(const char *dir, const JoinFiles *f);

/* Removes what was written; leaves JOIN_LEFT. */
int join_undo(const char *dir);
/* Whether the host has left, or has joined (the first host's address, to be freed; NULL if it has not). */
bool join_has_left(const char *dir);
int join_read_address(const char *dir, char **ret);
