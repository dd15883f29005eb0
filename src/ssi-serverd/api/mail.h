/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mails to an account: verification of its address, reset of its password. */

#include "api/call.h"

/* Whether this server can send mail with links to itself. */
bool api_has_mail(ApiCall *c);
/* The same; if not, it has answered. */
bool api_require_mail(ApiCall *c);
