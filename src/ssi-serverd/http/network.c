/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>

#include "http/network.h"
#include "shared/util.h"

void network_of(const char *address, char ret[static NETWORK_MAX])
{
        char text[INET6_ADDRSTRLEN];
        struct in6_addr v6;
        struct in_addr v4;

        ret[0] = '\0';
        if (!address)
                return;
        if (inet_pton(AF_INET, address, &v4) != 1) {
                if (inet_pton(AF_INET6, address, &v6) != 1)
                        return;
                if (!IN6_IS_ADDR_V4MAPPED(&v6)) {
                        memset(v6.s6_addr + 8, 0, 8);
                        if (inet_ntop(AF_INET6, &v6, text, sizeof(text)))
                                snprintf(ret, NETWORK_MAX, "%s/64", text);
                        return;
                }
                memcpy(&v4, v6.s6_addr + 12, sizeof(v4));
        }
        if (inet_ntop(AF_INET, &v4, text, sizeof(text)))
                snprintf(ret, NETWORK_MAX, "%s/32", text);
}
