/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rules for e-mail addresses. */

#include <stdbool.h>

#define EMAIL_MAX 254 /* RFC 5321, 4.5.3.1.3, without the brackets */

/* The normal form of an address: lower-case ASCII letters; other characters stay, because only the recipient's server knows
 * which are equal. @email_key in SQL does the same. */
void email_fold(char *s);

/* Whether this can be an address at all; only a message to it shows whether it is one. */
bool email_is_plausible(const char *s);
/* Whether mail can be sent to it as it is: a mailbox (local@domain) without quoting, in UTF-8 (RFC 6531). Refuses everything that could end a
 * command or a header field. */
bool email_is_mailbox(const char *s);
/* The same for a new account: ASCII only, so that addresses that look alike are the same. Domains have an ASCII form. */
bool email_is_acceptable(const char *s);
