/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A request to the backend's first host, over TLS. Blocking: for a worker thread. */

#include "shared/json-util.h"
#include "shared/util.h"

typedef struct FirstHost {
        const char *address; /* https://HOST[:PORT] */
        const char *pin;     /* its key, of pem_pin_of_cert(); or NULL, then: */
        const char *ca;      /* the file of the authority that has signed for it, by whatever name it is reached */
} FirstHost;

/* Whether the address has this form. */
bool first_host_address_is_valid(const char *s);

/* Why there is no answer. */
typedef enum FirstHostError {
        FIRST_HOST_UNREACHABLE = 1,
        FIRST_HOST_OTHER_KEY, /* nothing was sent */
        FIRST_HOST_NO_BACKEND,
} FirstHostError;

/* Posts the body. 0 with the status and the answer, which is an object; or a FirstHostError, with a sentence to be freed, or NULL. */
int first_host_post(const FirstHost *h, const char *path, json_object *body, long *ret_status, json_object **ret_answer,
                    char **ret_message);
