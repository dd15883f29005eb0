/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Identifiers and secrets. A secret is 256 random bits, shown once and stored only as a hash: it cannot be
 * guessed, so a fast hash is enough. */

#include "shared/util.h"

#define ID_MAX           24
#define TOKEN_MAX        64
#define TOKEN_HASH_MAX   67
#define TOKEN_SEALED_MAX 256

/* "<prefix>-" and 80 random bits in lower-case base32. prefix: at most 4 letters. */
void id_new(const char *prefix, char ret[static ID_MAX]);

/* "ssi_<kind>_" and 256 random bits in base64url. kind: at most 10 letters. */
void token_new(const char *kind, char ret[static TOKEN_MAX]);

/* BLAKE2b-256 of the token, in PostgreSQL's text form of a bytea ("\x…"). */
void token_hash(const char *token, char ret[static TOKEN_HASH_MAX]);

/* Makes a new token one of the chain of another one: they begin alike, and differ in 124 random bits. */
void token_chain(char token[static TOKEN_MAX], const char *before);
/* As token_hash(), of what the tokens of a chain have in common: 132 random bits. */
void token_chain_hash(const char *token, char ret[static TOKEN_HASH_MAX]);

/* Encrypts a token so that it can be read only with another token (XSalsa20 and Poly1305; the key is a keyed
 * BLAKE2b of the other token). In PostgreSQL's text form of a bytea. */
void token_seal(const char *token, const char *by, char ret[static TOKEN_SEALED_MAX]);
/* -EBADMSG if it was not sealed by that token. */
int token_open(const char *sealed, const char *by, char ret[static TOKEN_MAX]);
