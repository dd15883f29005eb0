/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mails to an account: verification of its address, reset of its password, another address. */

#include "api/call.h"
#include "auth/token.h"

/* Whether this server can send mail with links to itself. */
bool api_has_mail(ApiCall *c);
/* The same; if not, it has answered. */
bool api_need_mail(ApiCall *c);

/* The token of a mail's link. The hash of the body's; false: it has answered. Then, whether this network has not guessed too often; if it
 * has, it is answered. The answer to a token that is not valid counts as a guess. */
bool api_body_mail_token(ApiCall *c, json_object *body, char hash[static TOKEN_HASH_MAX]);
bool api_may_try_mail_token(ApiCall *c);
void api_respond_bad_mail_token(ApiCall *c);

/* 409 email-taken: sign-up.c. */
void api_respond_email_taken(ApiCall *c);
