/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The backend's address: "https://host[:port]". Plain "http://" is allowed only for this machine's loopback. wss://
 * and ws:// mean the same as https:// and http://. */

#include "shared/util.h"

typedef struct ServerUrl {
        bool tls;
        bool is_address; /* host is a numeric address */
        char *host;      /* without brackets */
        char *authority; /* as in a Host: header */
        uint16_t port;
} ServerUrl;

/* -EINVAL if it is not a server URL (or has a path, a query or a user); -EPERM if it is unencrypted and not for the
 * loopback; -ENOMEM. */
int server_url_parse(const char *s, ServerUrl *ret);
/* What is wrong, as a sentence; NULL if the error is not the URL's. */
const char *server_url_fault(int error);
void server_url_done(ServerUrl *u);
