/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which services of an inventory depend on which, by their places in it. */

#include "shared/util.h"

typedef struct DependGraph DependGraph;

int depend_graph_new(size_t n, DependGraph **ret);
DependGraph *depend_graph_free(DependGraph *g);
DEFINE_CLEANUP(DependGraph *, depend_graph_free);

/* At most DEPENDS_ON_MAX per `from`. What is there already, and a service itself, is left out. */
void depend_graph_add(DependGraph *g, size_t from, size_t to);

/* Takes away what goes from a service to another one that depends on it, directly or not, so that what is left leads from
 * anywhere to an end. -ENOMEM. */
int depend_graph_break_cycles(DependGraph *g);

/* The k-th service that `from` depends on, in their order, after the cycles were broken; false when there is none. */
bool depend_graph_get(const DependGraph *g, size_t from, size_t k, size_t *ret);
