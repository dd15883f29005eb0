/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ownership as in systemd: _cleanup_ says how a variable is freed, and TAKE_PTR() passes it on. Functions return 0
 * or more on success and a negative errno on failure, and then leave ret_… untouched. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_       __attribute__((unused))

#define DEFINE_CLEANUP(type, func)          \
        static inline void func##p(type *p) \
        {                                   \
                if (*p)                     \
                        func(*p);           \
        }                                   \
        struct cleanup_semicolon_##func

static inline void freep(void *p)
{
        free(*(void **) p);
}

static inline int safe_close(int fd)
{
        if (fd >= 0)
                close(fd);
        return -EBADF;
}

static inline void closep(int *fd)
{
        safe_close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose);

#define _cleanup_free_   _cleanup_(freep)
#define _cleanup_close_  _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

#define TAKE_PTR(p)                                   \
        ({                                            \
                __typeof__(p) *_pp = &(p), _v = *_pp; \
                *_pp = NULL;                          \
                _v;                                   \
        })

#define TAKE_FD(fd)                          \
        ({                                   \
                int *_fp = &(fd), _f = *_fp; \
                *_fp = -EBADF;               \
                _f;                          \
        })

#define STRINGIFY_(x) #x
#define STRINGIFY(x)  STRINGIFY_(x) /* expands x first */
#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_INFINITY UINT64_MAX

static inline bool streq(const char *a, const char *b)
{
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an out parameter that was set on success */
        return strcmp(a, b) == 0;
}

/* NULL equals only NULL. */
static inline bool streq_ptr(const char *a, const char *b)
{
        return a == b || (a && b && streq(a, b));
}

static inline bool isempty(const char *s)
{
        return !s || s[0] == '\0';
}

static inline const char *strempty(const char *s)
{
        return s ?: "";
}

/* Returns the text after the prefix, or NULL. */
static inline const char *startswith(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);

        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an out parameter that was set on success */
        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline const char *endswith(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n >= m && streq(s + n - m, suffix) ? s + n - m : NULL;
}

/* Decimal digits only: no sign, no blanks. -EINVAL for anything else, and for more than max. */
int parse_unsigned(const char *s, unsigned max, unsigned *ret);

/* Replaces *p with a copy of s (NULL clears it). Returns 1 if it changed, 0 if it was equal, -ENOMEM. */
int free_and_strdup(char **p, const char *s);

/* A NUL-terminated copy of exactly n bytes. Unlike strndup(3), never reads further. */
static inline char *memdup_string(const char *s, size_t n)
{
        char *copy = malloc(n + 1);

        if (copy) {
                memcpy(copy, s, n);
                copy[n] = '\0';
        }
        return copy;
}

/* Whether the n bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_is_valid(const char *s, size_t n);

/* UTF-8 without characters that begin a line, control a terminal, turn the direction of text or are invisible, but for joiners. */
bool text_is_line(const char *s);

/* A copy of the n bytes as well-formed UTF-8 without control characters: each invalid byte becomes U+FFFD, ANSI
 * escape sequences are dropped, and tabs become spaces. Cut between characters to at most max bytes; *ret_cut (may
 * be NULL) says whether it was cut. NULL if out of memory. */
char *utf8_sanitize(const char *s, size_t n, size_t max, bool *ret_cut);
