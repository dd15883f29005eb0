/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may make an account: docs/adr/0044. Callbacks as for backend_query(). */

#include "model/act.h"

typedef enum SignUp {
        SIGN_UP_UNSET =
                CONFIG_SIGN_UP_UNSET, /* not set up yet: only from this machine itself, or with the setup code */
        SIGN_UP_CLOSED = CONFIG_SIGN_UP_CLOSED,
        SIGN_UP_INVITE = CONFIG_SIGN_UP_INVITE,
        SIGN_UP_OPEN = CONFIG_SIGN_UP_OPEN,
} SignUp;

/* "" for SIGN_UP_UNSET. */
const char *sign_up_to_string(SignUp s);
/* -EINVAL unless it is "closed", "invite" or "open". */
int sign_up_from_string(const char *s, SignUp *ret);

/* Whether the configuration decides, and not what the database keeps. */
bool sign_up_is_configured(const Backend *b);

/* Keeps it in the database. Not when sign_up_is_configured(). */
int sign_up_set(Backend *b, SignUp s, const char *actor, db_callback_t done, void *userdata);

/* Who wants an account. */
typedef struct Newcomer {
        const char *email;      /* NULL or what may not be an address: the answer is of no use then */
        const char *invitation; /* the token's hash, or NULL */
        const char *setup_code; /* NULL: none given */
        bool local;             /* asks on this machine itself */
} Newcomer;

typedef enum Admission {
        ADMISSION_CLOSED,
        ADMISSION_NOT_SET_UP,
        ADMISSION_INVITATION_NEEDED,
        ADMISSION_BAD_INVITATION,
        ADMISSION_BAD_SETUP_CODE,
        /* From here on, admitted: with account_add(), account_add_first(), account_add_invited(). */
        ADMISSION_OPEN,
        ADMISSION_FIRST,
        ADMISSION_INVITED,
} Admission;

/* One row, for the functions below. n may be NULL. */
int sign_up_ask(Backend *b, const Newcomer *n, db_callback_t done, void *userdata);
SignUp sign_up_in_force(const Backend *b, PGresult *res);
/* The same of the value that is kept, @kept_sign_up; NULL: none. */
SignUp sign_up_of(const Backend *b, const char *kept);
/* Whether the setup code admits. */
bool sign_up_wants_setup_code(const Backend *b, PGresult *res);
Admission sign_up_admit(const Backend *b, PGresult *res, const Newcomer *n);

/* The kept modes that still allow the account when its password has been hashed: of somebody admitted as ADMISSION_OPEN, and by
 * an account's invitation. NULL: any. */
const char *sign_up_modes_open(const Backend *b, bool local);
const char *sign_up_modes_inviting(const Backend *b);
