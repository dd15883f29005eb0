/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Services as a table with a heading, cut to the width of a terminal. Prints nothing for none. */

#include "service-info.h"

void table_print_services(const Ctl *c, const ServiceInfo *infos, size_t n);
