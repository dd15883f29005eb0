/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Prints services as a table with a heading, cut to the terminal's width. Prints nothing if there are none. */

#include "service-info.h"

void table_print_services(const Ctl *c, const ServiceInfo *infos, size_t n);
