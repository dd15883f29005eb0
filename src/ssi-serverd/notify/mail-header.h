/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks mail addresses and encodes header fields of mails. */

#include "shared/util.h"

#define EMAIL_ADDRESS_MAX 254 /* RFC 5321, 4.5.3.1.3, without the brackets */

/* Whether it can be a mailbox (local@domain) without quoting, in UTF-8 (RFC 6531). Rejects everything that
 * could end a command or a header field. */
bool email_address_is_valid(const char *s);

/* Encodes the text as a field's body: encoded words of UTF-8 in base64 (RFC 2047), folded, unless it is
 * short printable ASCII. Line breaks and other control characters are encoded, too, so that they cannot
 * start another field. NULL when out of memory. */
char *mail_header_encode(const char *text);
