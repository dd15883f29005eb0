/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/util.h"

int parse_unsigned(const char *s, unsigned max, unsigned *ret)
{
        uint64_t v = 0;

        if (*s == '\0')
                return -EINVAL;
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                v = v * 10 + (uint64_t) (*s - '0');
                if (v > max)
                        return -EINVAL;
        }
        *ret = (unsigned) v;
        return 0;
}

int free_and_strdup(char **p, const char *s)
{
        char *copy = NULL;

        if (streq_ptr(*p, s))
                return 0;
        if (s) {
                copy = strdup(s);
                if (!copy)
                        return -ENOMEM;
        }
        free(*p);
        *p = copy;
        return 1;
}

/* The length of the well-formed character at s, 0 if there is none. */
static size_t utf8_char_length(const unsigned char *s, size_t n)
{
        unsigned char lo = 0x80, hi = 0xbf;
        size_t len;

        if (n == 0)
                return 0;
        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xc2 && s[0] <= 0xdf)
                len = 2;
        else if (s[0] >= 0xe0 && s[0] <= 0xef)
                len = 3;
        else if (s[0] >= 0xf0 && s[0] <= 0xf4)
                len = 4;
        else
                return 0;
        if (n < len)
                return 0;

        /* The second byte excludes overlong forms, surrogates and characters beyond U+10FFFF (RFC 3629, section 4). */
        if (s[0] == 0xe0)
                lo = 0xa0;
        else if (s[0] == 0xed)
                hi = 0x9f;
        else if (s[0] == 0xf0)
                lo = 0x90;
        else if (s[0] == 0xf4)
                hi = 0x8f;
        if (s[1] < lo || s[1] > hi)
                return 0;
        for (size_t i = 2; i < len; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        return len;
}

bool utf8_is_valid(const char *s, size_t n)
{
        for (size_t i = 0; i < n;) {
                uint64_t word;
                size_t len;

                /* Most text is ASCII: check it word by word. */
                if (n - i >= sizeof(word)) {
                        memcpy(&word, s + i, sizeof(word));
                        if (!(word & UINT64_C(0x8080808080808080))) {
                                i += sizeof(word);
                                continue;
                        }
                }
                len = utf8_char_length((const unsigned char *) s + i, n - i);
                if (len == 0)
                        return false;
                i += len;
        }
        return true;
}

/* The length of the escape sequence at s (ECMA-48: CSI, OSC and two-byte sequences), 0 if there is none. */
static size_t ansi_sequence_length(const char *s, size_t n)
{
        size_t i = 2;

        if (n < 2 || s[0] != '\x1b')
                return 0;
        if (s[1] == '[') {
                while (i < n && (unsigned char) s[i] >= 0x20 && (unsigned char) s[i] <= 0x3f)
                        i++;
                return i < n && (unsigned char) s[i] >= 0x40 && (unsigned char) s[i] <= 0x7e ? i + 1 : i;
        }
        if (s[1] == ']') {
                while (i < n && s[i] != '\a' && s[i] != '\x1b')
                        i++;
                if (i < n && s[i] == '\a')
                        return i + 1;
                return i + 1 < n && s[i + 1] == '\\' ? i + 2 : i;
        }
        return (unsigned char) s[1] >= 0x20 && (unsigned char) s[1] <= 0x7e ? 2 : 0;
}

char *utf8_sanitize(const char *s, size_t n, size_t max, bool *ret_cut)
{
        static const char replacement[] = "\xef\xbf\xbd";
        bool cut = false;
        size_t o = 0;
        char *out;

        /* An invalid byte becomes three bytes; the result never exceeds max. */
        out = malloc(MIN(n * 3, max) + 1);
        if (!out)
                return NULL;

        for (size_t i = 0; i < n;) {
                const char *piece = s + i;
                size_t len, step;

                step = ansi_sequence_length(s + i, n - i);
                if (step > 0) {
                        i += step;
                        continue;
                }
                step = len = utf8_char_length((const unsigned char *) s + i, n - i);
                if (len == 0) {
                        piece = replacement;
                        len = 3;
                        step = 1;
                } else if (s[i] == '\t') {
                        piece = " ";
                } else if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f ||
                           (len == 2 && s[i] == '\xc2' && (unsigned char) s[i + 1] < 0xa0)) {
                        piece = replacement;
                        len = 3;
                }
                if (o + len > max) {
                        cut = true;
                        break;
                }
                memcpy(out + o, piece, len);
                o += len;
                i += step;
        }
        out[o] = '\0';
        if (ret_cut)
                *ret_cut = cut;
        return out;
}

/* Invisible ones, with which two texts look alike, or that change the order of what follows. The zero-width joiner and non-joiner are
 * part of how some languages are written. */
static bool is_deceptive(const unsigned char *p)
{
        if (p[0] == 0xd8)
                return p[1] == 0x9c; /* U+061C */
        if (p[0] == 0xef)
                return p[1] == 0xbb && p[2] == 0xbf; /* U+FEFF */
        if (p[0] != 0xe2)
                return false;
        if (p[1] == 0x80)
                return p[2] == 0x8b || p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae);
        return p[1] == 0x81 && p[2] >= 0xa0 && p[2] <= 0xaf; /* U+2060 to U+206F */
}

bool text_is_line(const char *s)
{
        for (const unsigned char *p = (const unsigned char *) s; *p; p++)
                if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) || is_deceptive(p))
                        return false;
        return true;
}
