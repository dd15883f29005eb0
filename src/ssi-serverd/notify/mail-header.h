/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Encodes header fields of mails. */

#include "shared/util.h"

/* Encodes the text as a field's body: encoded words of UTF-8 in base64 (RFC 2047), folded, unless it is
 * short printable ASCII. Line breaks and other control characters are encoded, too, so that they cannot
 * start another field. NULL when out of memory. */
char *mail_header_encode(const char *text);
