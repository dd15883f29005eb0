/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which units need which others, and which services watch them. A service depends on another if its watched units
 * need, directly or indirectly, a unit that the other watches. */

#include "shared/util.h"

/* Further units are ignored. */
#define UNIT_GRAPH_MAX 4096

typedef struct UnitGraph UnitGraph;
typedef struct UnitNode UnitNode;

/* NULL if out of memory. */
UnitGraph *unit_graph_new(void);
UnitGraph *unit_graph_free(UnitGraph *g);
DEFINE_CLEANUP(UnitGraph *, unit_graph_free);

/* *ret belongs to the graph. Returns 1 if the unit is new, 0 if not, -ENOSPC, -ENOMEM. */
int unit_graph_add(UnitGraph *g, const char *unit, UnitNode **ret);
const char *unit_node_name(const UnitNode *n);

/* Records that the unit needs the other one. */
int unit_node_needs(UnitNode *n, UnitNode *other);
/* Records that n is an alias: units that need it, and services that watch it, refer to the unit `of`. */
void unit_node_set_alias(UnitNode *n, UnitNode *of);
/* Records that the service watches the unit. Call this when all aliases are known. slug is borrowed. */
int unit_graph_watch(UnitGraph *g, const char *slug, UnitNode *n);

/* Sets *ret to the services that this one depends on, in alphabetical order, with commas ("a, b"). If there are more
 * than max, keeps those with the nearest units. Cycles are allowed. A service never depends on itself, nor on a service
 * that only watches the same unit. -ENOMEM. */
int unit_graph_depends_on(UnitGraph *g, const char *slug, size_t max, char **ret);
