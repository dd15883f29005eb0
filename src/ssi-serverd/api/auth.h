/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks, by the Authorization header. */

#include "api/call.h"

/* Calls the route's handler (api_run()), or answers 401 or 403. */
void api_authenticate(ApiCall *c);
