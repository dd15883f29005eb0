/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the handlers of servers, services and agents share. */

#include "api/call.h"
#include "api/field.h"

#define SERVER_NAME_MAX 128 /* bytes */
#define CLAIM_LIFETIME  "interval '1 hour'"

#define API_SERVER_STATES "pending", "online", "rebooting", "offline"

/* For api_query_words(). */
extern const char *const api_statuses[];
