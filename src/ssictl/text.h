/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text on a terminal: widths are columns, as wcwidth(3) counts them, so that tables stay aligned whatever is in them. What
 * is printed through here cannot steer the terminal, also when it comes from another host's agent. */

#include "shared/util.h"

/* No width that a text could have. */
#define TEXT_WIDTH_MAX (UINT32_MAX - 1)

/* Takes the user's locale; when that is not UTF-8, its characters alone are taken from C.UTF-8, for D-Bus speaks UTF-8. */
void text_setup(void);

/* The terminal's width, or 80 when standard output is not a terminal. */
unsigned text_columns(void);

unsigned text_width(const char *s);

/* A copy that takes at most width columns, ending in "…" when something was left out. A tab becomes a
 * space, what else cannot be printed "?". NULL when out of memory. */
char *text_cut(const char *s, unsigned width);

/* Prints s and spaces up to width columns; cuts nothing. */
void text_put(const char *s, unsigned width);

/* Prints s on one line: cut to width columns on a terminal, whole elsewhere. */
void text_put_line(const char *s, unsigned width);

/* Prints the text and ends the line. On a terminal it is broken at spaces so that no line exceeds the terminal's width; used columns
 * from column indent on are taken already, and the further lines begin at indent. */
void text_put_wrapped(const char *text, unsigned indent, unsigned used);
