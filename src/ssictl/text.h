/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text on a terminal. Widths are columns, as counted by wcwidth(3), so that tables stay aligned with any content.
 * Text printed with these functions cannot control the terminal, even if it comes from another host's agent. */

#include "shared/util.h"

/* Wider than any text. */
#define TEXT_WIDTH_MAX (UINT32_MAX - 1)

/* Uses the user's locale. If it is not UTF-8, takes only its character set from C.UTF-8, because D-Bus uses UTF-8. */
void text_setup(void);

/* The terminal's width, or 80 when standard output is not a terminal. */
unsigned text_columns(void);

unsigned text_width(const char *s);

/* A copy of at most width columns, ending in "…" if it was cut. Tabs become spaces, and other unprintable characters
 * "?". NULL if out of memory. */
char *text_cut(const char *s, unsigned width);

/* Prints s, padded with spaces to width columns; cuts nothing. */
void text_put(const char *s, unsigned width);

/* Prints s on one line: cut to width columns on a terminal, otherwise whole. */
void text_put_line(const char *s, unsigned width);

/* Prints the text and ends the line. On a terminal, breaks it at spaces so that no line exceeds the terminal's
 * width: used columns after column indent are occupied already, and further lines begin at column indent. */
void text_put_wrapped(const char *text, unsigned indent, unsigned used);
