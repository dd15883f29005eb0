/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Follows the output of a service. */

#include "ctl.h"

/* Prints the last n lines and then new ones, until interrupted or until the service is removed. */
int log_follow(Ctl *c, const char *name, unsigned n);
