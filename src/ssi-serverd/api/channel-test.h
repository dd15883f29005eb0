/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sends a test message through a channel: a route of channels.c. */

#include "api/call.h"

void channel_test(ApiCall *c);
