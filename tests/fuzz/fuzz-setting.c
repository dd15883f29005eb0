/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/quota.h"
#include "fuzz.h"
#include "shared/network.h"
#include "shared/time-span.h"

static void networks(const char *text)
{
        Networks n = { .n = 0 };
        int r = networks_parse(text, &n);

        check(r == 0 || r == -EINVAL || r == -E2BIG);
        if (r < 0)
                return;
        check(n.n <= NETWORKS_MAX);
        for (size_t i = 0; i < n.n; i++) {
                check(n.items[i].bits <= 128);
                check(networks_contain(&n, &n.items[i].address));
        }
}

static void address(const char *text)
{
        char formatted[INET6_ADDRSTRLEN], network[NETWORK_MAX];
        struct in6_addr a, again;
        Networks n = { .n = 0 };

        network_of(text, network);
        check(strlen(network) < sizeof(network));
        if (address_parse(text, &a) < 0) {
                check(network[0] == '\0');
                return;
        }
        address_format(&a, formatted);
        check(address_parse(formatted, &again) == 0 && memcmp(&a, &again, sizeof(a)) == 0);
        check(networks_parse(network, &n) == 0 && n.n == 1);
        check(networks_contain(&n, &a) || streq(network, "127.0.0.1/32"));
}

static void span(const char *text)
{
        uint64_t usec = UINT64_MAX;
        int r = parse_time_span(text, &usec);

        /* A thousand years at most, and untouched on failure. */
        check(r == 0 ? usec <= UINT64_C(31557600000) * USEC_PER_SEC : usec == UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_free_ char *text = memdup_string((const char *) data, n);

        check(text);
        networks(text);
        address(text);
        for (QuotaKind k = 0; k < _QUOTA_KINDS; k++) {
                Quota q = { .value = 0 };

                if (quota_parse(k, text, &q) == 0)
                        check(q.value > 0 && (k != QUOTA_RESULTS || q.value == QUOTA_NONE || q.burst > 0));
        }
        span(text);
        (void) host_is_loopback(text);
        return 0;
}
