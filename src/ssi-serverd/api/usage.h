/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is said when an account's quota is reached. */

#include "api/call.h"

/* Answers 409: the account has as many of these as its quota allows. what: in the plural. */
void api_respond_quota_reached(ApiCall *c, const char *type, const char *what);
