/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rules for addresses, passwords and names of servers and labels, which REST and D-Bus apply. Sizes are in bytes; a password's least
 * length is in characters, and several spaces count as one. */

#include <stdbool.h>

#define EMAIL_MAX       254 /* RFC 5321, 4.5.3.1.3, without the brackets */
#define PASSWORD_MIN    12
#define PASSWORD_MAX    1024
#define LABEL_MAX       64
#define LABELS_MAX      32 /* of a server */
#define SERVER_NAME_MAX 128

/* UTF-8 without characters that begin a line or control a terminal: C0, DEL, C1, U+2028, U+2029. */
bool text_is_line(const char *s);

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

/* Why this cannot be a new password, as a sentence; NULL if it can. It must have a length, and not be among the first that an
 * attacker would try: common ones, words, sequences, repetitions, keyboard patterns, the own address. email: NULL if
 * unknown. */
const char *password_fault(const char *s, const char *email);

bool label_is_valid(const char *s);
bool server_name_is_valid(const char *s);
