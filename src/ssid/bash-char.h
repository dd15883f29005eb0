/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The classes of characters that bash-scan.c tells apart: one look into a table, because a script can have a million of them. */

#include "shared/util.h"

#define NAME     1U /* of a variable */
#define WORD     2U
#define ENDS     4U /* after it, a word begins */
#define ENDS_CMD 8U /* after the name of a command; not ")" and "|", which end a pattern */

extern const uint8_t bash_char_classes[UINT8_MAX + 1];

static inline bool is(char ch, unsigned classes)
{
        return bash_char_classes[(unsigned char) ch] & classes;
}
