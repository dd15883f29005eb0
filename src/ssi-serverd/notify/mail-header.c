/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "notify/mail-header.h"

#define PLAIN_MAX      60
#define WORD_BYTES_MAX 42 /* 56 of base64 and 12 around them: below the 75 of RFC 2047, in a line below 78 */

static bool is_plain(const char *s)
{
        if (strlen(s) > PLAIN_MAX || strstr(s, "=?"))
                return false;
        for (; *s; s++)
                if (*s < 0x20 || *s > 0x7e)
                        return false;
        return true;
}

/* The number of bytes for one word: whole characters only. */
static size_t word_length(const char *s)
{
        size_t n = strlen(s);

        if (n <= WORD_BYTES_MAX)
                return n;
        for (n = WORD_BYTES_MAX; n > 0 && ((unsigned char) s[n] & 0xc0) == 0x80;)
                n--;
        return n > 0 ? n : WORD_BYTES_MAX;
}

char *mail_header_encode(const char *text)
{
        size_t length = strlen(text), n = 0;
        char *s;

        if (is_plain(text))
                return strdup(text);
        /* Each word takes at least 39 bytes, except the last. */
        s = malloc((length / 39 + 1) * 80 + 1);
        if (!s)
                return NULL;
        s[0] = '\0';
        while (*text) {
                char word[sodium_base64_ENCODED_LEN(WORD_BYTES_MAX, sodium_base64_VARIANT_ORIGINAL)];
                size_t m = word_length(text);

                sodium_bin2base64(word, sizeof(word), (const unsigned char *) text, m, sodium_base64_VARIANT_ORIGINAL);
                n += (size_t) sprintf(s + n, "%s=?UTF-8?B?%s?=", n > 0 ? "\r\n " : "", word);
                text += m;
        }
        return s;
}
