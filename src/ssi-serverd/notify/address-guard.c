/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "notify/address-guard.h"

typedef struct Network4 {
        uint32_t address;
        unsigned bits;
} Network4;

typedef struct Network6 {
        uint8_t address[16];
        unsigned bits;
} Network6;

#define IP4(a, b, c, d) ((uint32_t) (a) << 24 | (uint32_t) (b) << 16 | (uint32_t) (c) << 8 | (uint32_t) (d))

static const Network4 special4[] = {
        { IP4(0, 0, 0, 0), 8 },                                  /* this network */
        { IP4(10, 0, 0, 0), 8 },                                 /* private */
        { IP4(100, 64, 0, 0), 10 },                              /* shared */
        { IP4(127, 0, 0, 0), 8 },                                /* loopback */
        { IP4(169, 254, 0, 0), 16 },                             /* link-local; the metadata of clouds */
        { IP4(172, 16, 0, 0), 12 },                              /* private */
        { IP4(192, 0, 0, 0), 24 },    { IP4(192, 0, 2, 0), 24 }, /* documentation */
        { IP4(192, 88, 99, 0), 24 },                             /* 6to4 relays */
        { IP4(192, 168, 0, 0), 16 },                             /* private */
        { IP4(198, 18, 0, 0), 15 },                              /* benchmarks */
        { IP4(198, 51, 100, 0), 24 }, { IP4(203, 0, 113, 0), 24 },
        { IP4(224, 0, 0, 0), 3 }, /* multicast, reserved, broadcast */
};

static const Network6 special6[] = {
        { { 0x20, 0x01 }, 23 },             /* protocol assignments, including Teredo */
        { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
        { { 0x3f, 0xff }, 20 },
};

static const Network6 global_unicast = { { 0x20 }, 3 };

/* Networks that embed an IPv4 address, and its offset. */
static const struct {
        Network6 network;
        unsigned offset;
} carriers[] = {
        { { { [10] = 0xff, [11] = 0xff }, 96 }, 12 }, /* mapped */
        { { { [8] = 0xff, [9] = 0xff }, 96 }, 12 },   /* translated (SIIT), ::ffff:0:a.b.c.d */
        { { { 0x00, 0x64, 0xff, 0x9b }, 96 }, 12 },   /* NAT64 */
        { { { 0x20, 0x02 }, 16 }, 2 },                /* 6to4 */
};

static bool is_public4(uint32_t address)
{
        for (size_t i = 0; i < ELEMENTSOF(special4); i++)
                if ((address ^ special4[i].address) >> (32 - special4[i].bits) == 0)
                        return false;
        return true;
}

static bool in_network6(const uint8_t *address, const Network6 *n)
{
        unsigned bytes = n->bits / 8, rest = n->bits % 8;

        return memcmp(address, n->address, bytes) == 0 &&
               (rest == 0 || (address[bytes] ^ n->address[bytes]) >> (8 - rest) == 0);
}

static uint32_t last4(const uint8_t *address)
{
        return IP4(address[12], address[13], address[14], address[15]);
}

/* An interface identifier that embeds an IPv4 address, in whatever network (RFC 5214). */
static bool is_isatap(const uint8_t *address)
{
        return (address[8] & ~0x02) == 0 && address[9] == 0 && address[10] == 0x5e && address[11] == 0xfe;
}

static bool is_public6(const uint8_t *address)
{
        static const uint8_t zero[12];

        /* The unspecified address, the loopback and the deprecated IPv4-compatible form. */
        if (memcmp(address, zero, sizeof(zero)) == 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(carriers); i++)
                if (in_network6(address, &carriers[i].network)) {
                        const uint8_t *p = address + carriers[i].offset;

                        return is_public4(IP4(p[0], p[1], p[2], p[3]));
                }
        for (size_t i = 0; i < ELEMENTSOF(special6); i++)
                if (in_network6(address, &special6[i]))
                        return false;
        /* Nothing else is in use on the Internet. */
        return in_network6(address, &global_unicast) && (!is_isatap(address) || is_public4(last4(address)));
}

bool address_is_public(const struct sockaddr *address)
{
        switch (address->sa_family) {
        case AF_INET:
                return is_public4(ntohl(((const struct sockaddr_in *) (const void *) address)->sin_addr.s_addr));
        case AF_INET6:
                return is_public6(((const struct sockaddr_in6 *) (const void *) address)->sin6_addr.s6_addr);
        default:
                return false;
        }
}
