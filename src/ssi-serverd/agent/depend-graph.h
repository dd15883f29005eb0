/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The dependencies between the services of an inventory, which are identified by their position. */

#include "shared/util.h"

typedef struct DependGraph DependGraph;

int depend_graph_new(size_t n, DependGraph **ret);
DependGraph *depend_graph_free(DependGraph *g);
DEFINE_CLEANUP(DependGraph *, depend_graph_free);

/* At most DEPENDS_ON_MAX per `from`. Ignores duplicates and dependencies of a service on itself. */
void depend_graph_add(DependGraph *g, size_t from, size_t to);

/* Removes dependencies between services that depend on each other, directly or indirectly, so that no cycles
 * remain. -ENOMEM. */
int depend_graph_break_cycles(DependGraph *g);

/* Returns the k-th service that `from` depends on, in order of position, after cycles were broken; false if
 * there is none. */
bool depend_graph_get(const DependGraph *g, size_t from, size_t k, size_t *ret);
