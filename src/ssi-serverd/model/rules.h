/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rules for passwords and names of servers and labels, which REST and D-Bus apply. Sizes are in bytes; a password's least
 * length is in characters, and several spaces count as one. */

#include "shared/email.h"

#define PASSWORD_MIN    12
#define PASSWORD_MAX    1024
#define LABEL_MAX       64
#define LABELS_MAX      32 /* of a server */
#define SERVER_NAME_MAX 128

/* Why this cannot be a new password, as a sentence; NULL if it can. It must have a length, and not be among the first that an
 * attacker would try: common ones, words, sequences, repetitions, keyboard patterns, the own address. email: NULL if
 * unknown. */
const char *password_fault(const char *s, const char *email);

bool label_is_valid(const char *s);
bool server_name_is_valid(const char *s);
