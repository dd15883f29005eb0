/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Authenticates a call by its Authorization header. */

#include "api/call.h"

/* Calls the route's handler (api_run()), or answers with 401 or 403. */
void api_authenticate(ApiCall *c);
