/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sends a test message by a channel: a route of channels.c. */

#include "api/call.h"

void channel_test(ApiCall *c);
