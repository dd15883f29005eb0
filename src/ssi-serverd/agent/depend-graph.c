/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/depend-graph.h"
#include "shared/slug.h"

typedef struct Vertex {
        uint16_t to[DEPENDS_ON_MAX];
        uint16_t n, next;
        uint16_t index, low, group; /* 0: not assigned yet */
} Vertex;

struct DependGraph {
        size_t n;
        Vertex vertices[];
};

int depend_graph_new(size_t n, DependGraph **ret)
{
        DependGraph *g;

        if (n > UINT16_MAX)
                return -E2BIG;
        g = calloc(1, sizeof(*g) + n * sizeof(*g->vertices));
        if (!g)
                return -ENOMEM;
        g->n = n;
        *ret = g;
        return 0;
}

DependGraph *depend_graph_free(DependGraph *g)
{
        free(g);
        return NULL;
}

void depend_graph_add(DependGraph *g, size_t from, size_t to)
{
        Vertex *v = &g->vertices[from];

        if (from == to || v->n >= DEPENDS_ON_MAX)
                return;
        for (size_t i = 0; i < v->n; i++)
                if (v->to[i] == to)
                        return;
        v->to[v->n++] = (uint16_t) to;
}

/* Tarjan's strongly connected components: all vertices on a common cycle get one group. The path is an array
 * instead of the call stack, because the sender determines its depth. */
static void find_groups(DependGraph *g, uint16_t *path, uint16_t *open)
{
        uint16_t counter = 0, groups = 0;

        for (size_t root = 0; root < g->n; root++) {
                size_t depth = 0, n_open = 0;

                if (g->vertices[root].index > 0)
                        continue;
                path[depth++] = (uint16_t) root;
                while (depth > 0) {
                        Vertex *v = &g->vertices[path[depth - 1]], *w;

                        if (v->index == 0) {
                                v->index = v->low = ++counter;
                                open[n_open++] = path[depth - 1];
                        }
                        if (v->next < v->n) {
                                w = &g->vertices[v->to[v->next]];
                                if (w->index == 0)
                                        path[depth++] = v->to[v->next];
                                else if (w->group == 0)
                                        v->low = MIN(v->low, w->index);
                                v->next++;
                                continue;
                        }
                        depth--;
                        if (v->low == v->index) {
                                groups++;
                                do {
                                        w = &g->vertices[open[--n_open]];
                                        w->group = groups;
                                } while (w != v);
                        } else
                                /* Only the first vertex of a group has no low below its index, and the root
                                 * is one. */
                                g->vertices[path[depth - 1]].low = MIN(g->vertices[path[depth - 1]].low, v->low);
                }
        }
}

static int compare_places(const void *a, const void *b)
{
        return *(const uint16_t *) a - *(const uint16_t *) b;
}

int depend_graph_break_cycles(DependGraph *g)
{
        _cleanup_free_ uint16_t *path = NULL, *open = NULL;

        path = calloc(g->n, sizeof(*path));
        open = calloc(g->n, sizeof(*open));
        if (!path || !open)
                return -ENOMEM;
        find_groups(g, path, open);
        for (size_t i = 0; i < g->n; i++) {
                Vertex *v = &g->vertices[i];
                uint16_t kept = 0;

                for (uint16_t k = 0; k < v->n; k++)
                        if (g->vertices[v->to[k]].group != v->group)
                                v->to[kept++] = v->to[k];
                v->n = kept;
                qsort(v->to, kept, sizeof(*v->to), compare_places);
        }
        return 0;
}

bool depend_graph_get(const DependGraph *g, size_t from, size_t k, size_t *ret)
{
        const Vertex *v = &g->vertices[from];

        if (k >= v->n)
                return false;
        *ret = v->to[k];
        return true;
}
