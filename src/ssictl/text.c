/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <wchar.h>

#include "text.h"

#define ELLIPSIS "…"

void text_setup(void)
{
        setlocale(LC_ALL, "");
        setlocale(LC_NUMERIC, "C");
        if (!streq(nl_langinfo(CODESET), "UTF-8"))
                setlocale(LC_CTYPE, "C.UTF-8");
}

unsigned text_columns(void)
{
        struct winsize ws;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) >= 0 && ws.ws_col >= 40 ? ws.ws_col : 80;
}

/* Characters that change the direction of the following text: with them, a message could rearrange its line. */
static bool turns_direction(wchar_t w)
{
        return (w >= 0x202a && w <= 0x202e) || (w >= 0x2066 && w <= 0x2069);
}

/* Returns the length of the next character in bytes. *ret_width is its width, or -1 if it cannot be printed. */
static size_t next_character(const char *s, int *ret_width)
{
        size_t n, left;
        mbstate_t state = {};
        wchar_t w;

        /* Nearly all text is ASCII, and the locale's functions are slow. */
        if (*s >= ' ' && *s <= '~') {
                *ret_width = 1;
                return 1;
        }
        left = strnlen(s, MB_LEN_MAX);
        n = mbrtowc(&w, s, left, &state);
        if (n == 0 || n > left) {
                *ret_width = -1;
                return 1;
        }
        *ret_width = turns_direction(w) ? -1 : wcwidth(w);
        return n;
}

unsigned text_width(const char *s)
{
        unsigned width = 0;
        int w;

        while (*s) {
                s += next_character(s, &w);
                width += w < 0 ? 1U : (unsigned) w;
        }
        return width;
}

char *text_cut(const char *s, unsigned width)
{
        bool whole = text_width(s) <= width;
        unsigned used = 0;
        char *copy, *p;

        p = copy = malloc(strlen(s) + sizeof(ELLIPSIS));
        if (!copy)
                return NULL;
        while (*s) {
                int w;
                size_t n = next_character(s, &w);
                unsigned columns = w < 0 ? 1U : (unsigned) w;

                /* The last column is needed for the ellipsis. */
                if (used + columns + (whole ? 0 : 1) > width)
                        break;
                if (w < 0)
                        *p++ = *s == '\t' ? ' ' : '?';
                else
                        p = mempcpy(p, s, n);
                used += columns;
                s += n;
        }
        strcpy(p, !whole && width > 0 ? ELLIPSIS : "");
        return copy;
}

void text_put(const char *s, unsigned width)
{
        _cleanup_free_ char *safe = text_cut(s, TEXT_WIDTH_MAX);
        unsigned used = text_width(s);

        printf("%s%*s", strempty(safe), used < width ? (int) (width - used) : 0, "");
}

void text_put_line(const char *s, unsigned width)
{
        _cleanup_free_ char *cut = text_cut(s, isatty(STDOUT_FILENO) ? width : TEXT_WIDTH_MAX);

        puts(strempty(cut));
}

/* The number of bytes that fit on a line of width columns, up to a space if there is one. */
static size_t first_line(const char *s, unsigned width)
{
        const char *p = s, *space = NULL;
        unsigned used = 0;

        while (*p) {
                int w;
                size_t n = next_character(p, &w);

                used += w < 0 ? 1U : (unsigned) w;
                if (used > width)
                        return (size_t) ((space ?: p) - s);
                if (*p == ' ' && p > s)
                        space = p;
                p += n;
        }
        return (size_t) (p - s);
}

void text_put_wrapped(const char *text, unsigned indent, unsigned used)
{
        _cleanup_free_ char *safe = text_cut(text, TEXT_WIDTH_MAX);
        const char *s = strempty(safe);
        unsigned columns = text_columns(), width = columns > indent + 20 ? columns - indent : 20;

        used = MIN(used, width);
        while (isatty(STDOUT_FILENO) && text_width(s) > width - used) {
                size_t n = first_line(s, width - used);

                printf("%.*s\n%*s", (int) n, s, (int) indent, "");
                s += n;
                s += strspn(s, " ");
                used = 0;
        }
        puts(s);
}
