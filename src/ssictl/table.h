/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service-info.h"

/* Services as a table with a heading, cut to the terminal's width on one. Nothing for none. */
void table_print_services(const Ctl *c, const ServiceInfo *infos, size_t n);
