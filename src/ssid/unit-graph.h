/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which units need which others, and which services watch them. Says which services depend on which: the watched units
 * of the one need, at any remove, a watched unit of the other. */

#include "shared/util.h"

/* More units are not taken in. */
#define UNIT_GRAPH_MAX 4096

typedef struct UnitGraph UnitGraph;
typedef struct UnitNode UnitNode;

/* NULL when out of memory. */
UnitGraph *unit_graph_new(void);
UnitGraph *unit_graph_free(UnitGraph *g);
DEFINE_CLEANUP(UnitGraph *, unit_graph_free);

/* *ret belongs to the graph. 1 when the unit is new to it, 0 when not, -ENOSPC, -ENOMEM. */
int unit_graph_add(UnitGraph *g, const char *unit, UnitNode **ret);
const char *unit_node_name(const UnitNode *n);

/* That the unit needs the other one. */
int unit_node_needs(UnitNode *n, UnitNode *other);
/* That the name is another one's alias: what needs or watches it means that one. */
void unit_node_set_alias(UnitNode *n, UnitNode *of);
/* That the service watches the unit, once all aliases are known. slug is borrowed. */
int unit_graph_watch(UnitGraph *g, const char *slug, UnitNode *n);

/* Sets *ret to the services that this one depends on, in the order of the alphabet, with commas ("a, b"); of more than
 * max those whose units are nearest. Cycles end; a service never depends on itself, nor on one that is about the same
 * unit only. -ENOMEM. */
int unit_graph_depends_on(UnitGraph *g, const char *slug, size_t max, char **ret);
