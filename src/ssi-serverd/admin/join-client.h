/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How this host joins a backend (docs/adr/0054): asks the first host over TLS, checks the answer, tries the database, and writes
 * the settings, the certificate and the push key into a folder. Blocking: for a worker thread. */

#include "shared/json-util.h"
#include "shared/util.h"

typedef struct JoinRequest {
        const char *dir;
        const char *address; /* https://HOST[:PORT] */
        const char *token;   /* both parts, or the backend's alone */
        const char *pin;     /* of pem_pin_of_cert() */
        const char *host, *hostname;
        int schema;           /* the newest migration */
        bool own_certificate; /* the administrator has given one */
        bool own_push_key;
        json_object *own_settings; /* of config_shared_own() */
} JoinRequest;

typedef struct JoinResult {
        const char *error; /* the last part of org.ssi.Server1.Error.…, a constant; NULL: joined */
        char *message;
        json_object *
                credentials; /* names of credentials that the first host has, and this one must get by hand; may be NULL */
} JoinResult;

void join_result_done(JoinResult *r);

/* Whether the pin has the form that join_perform() takes. */
bool join_pin_is_valid(const char *s);

void join_perform(const JoinRequest *q, JoinResult *ret);
