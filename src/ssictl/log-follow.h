/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading on in what a service prints. */

#include "ctl.h"

/* Prints the last n lines and those that come, until interrupted or until the service is removed. */
int log_follow(Ctl *c, const char *name, unsigned n);
