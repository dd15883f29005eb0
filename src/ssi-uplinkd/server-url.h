/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the backend is: "https://host[:port]". Plain "http://" is for this machine's loopback only. wss:// and ws://
 * say the same. */

#include "shared/util.h"

typedef struct ServerUrl {
        bool tls;
        bool is_address; /* host is a numeric address */
        char *host;      /* without brackets */
        char *authority; /* as in a Host: header */
        uint16_t port;
} ServerUrl;

/* -EINVAL when it is none (or has a path, a query or a user); -EPERM when it is plain and not to the loopback;
 * -ENOMEM. */
int server_url_parse(const char *s, ServerUrl *ret);
void server_url_done(ServerUrl *u);
