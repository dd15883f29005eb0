/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Header fields of mails. */

#include "shared/util.h"

#define EMAIL_ADDRESS_MAX 254 /* RFC 5321, 4.5.3.1.3, without the brackets */

/* Whether it can be a mailbox (local@domain) that needs no quoting, in UTF-8 (RFC 6531). Nothing that could end a
 * command or a header field passes. */
bool email_address_is_valid(const char *s);

/* The text as a field's body: encoded words of UTF-8 in base64 (RFC 2047), folded, unless it is short printable ASCII.
 * Line breaks and other controls in it are encoded like the rest, so that they cannot begin a field of their own.
 * NULL when out of memory. */
char *mail_header_encode(const char *text);
