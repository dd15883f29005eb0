/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A target reads bytes and ends the program when something that must hold does not. The same sources make fuzzers (with
 * libFuzzer) and tests that replay the kept corpora (with replay.c). */

#include "shared/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Never compiled out. */
#define check(expr)                                                                               \
        do {                                                                                      \
                if (!(expr)) {                                                                    \
                        fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #expr); \
                        abort();                                                                  \
                }                                                                                 \
        } while (0)

/* Whether s is well-formed UTF-8 without control characters (C0, DEL, C1). By decoding, and so apart from the code that
 * is tested. */
static inline bool text_is_clean(const char *s)
{
        static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
        const uint8_t *p = (const uint8_t *) s;

        while (*p) {
                unsigned more = *p < 0x80 ? 0 : *p >> 5 == 0x06 ? 1 : *p >> 4 == 0x0e ? 2 : *p >> 3 == 0x1e ? 3 : 4;
                uint32_t c;

                if (more == 4)
                        return false;
                c = more == 0 ? *p : *p & (0x3fU >> more);
                p++;
                for (unsigned i = 0; i < more; i++, p++) {
                        if (*p >> 6 != 0x02)
                                return false;
                        c = c << 6 | (*p & 0x3fU);
                }
                if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                        return false;
                if (c < 0x20 || (c >= 0x7f && c < 0xa0))
                        return false;
        }
        return true;
}
