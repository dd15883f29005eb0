/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the handlers of servers, services and agents. */

#include "api/call.h"
#include "api/field.h"

#define API_SERVER_STATES "pending", "online", "rebooting", "offline"

/* For api_query_words(). */
extern const char *const api_statuses[];

/* servers.c: answers with the claim token in text[0]: 201, or 404 without a row. */
void api_respond_claim_token(ApiCall *c, PGresult *res, int error);
