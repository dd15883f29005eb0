/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <uthash.h>

#include "unit-graph.h"

typedef struct List {
        void **items;
        size_t n;
} List;

typedef struct Watcher {
        const char *slug;
        List units;
        uint64_t visit;
        UT_hash_handle hh;
} Watcher;

struct UnitNode {
        char *name;
        UnitNode *alias_of;
        List needs;
        List watchers;
        uint64_t visit; /* the last traversal that reached this node */
        UT_hash_handle hh;
};

struct UnitGraph {
        UnitNode *nodes;
        Watcher *watchers;
        uint64_t visit;
};

UnitGraph *unit_graph_new(void)
{
        return calloc(1, sizeof(UnitGraph));
}

UnitGraph *unit_graph_free(UnitGraph *g)
{
        Watcher *w, *wtmp;
        UnitNode *n, *ntmp;

        if (!g)
                return NULL;
        HASH_ITER(hh, g->watchers, w, wtmp) {
                HASH_DEL(g->watchers, w);
                free(w->units.items);
                free(w);
        }
        HASH_ITER(hh, g->nodes, n, ntmp) {
                HASH_DEL(g->nodes, n);
                free(n->name);
                free(n->needs.items);
                free(n->watchers.items);
                free(n);
        }
        free(g);
        return NULL;
}

static int append(List *l, void *item)
{
        /* The capacity is always a power of two. */
        if ((l->n & (l->n - 1)) == 0) {
                void **items = realloc(l->items, MAX(l->n * 2, 1U) * sizeof(*items));

                if (!items)
                        return -ENOMEM;
                l->items = items;
        }
        l->items[l->n++] = item;
        return 0;
}

int unit_graph_add(UnitGraph *g, const char *unit, UnitNode **ret)
{
        UnitNode *n;

        HASH_FIND_STR(g->nodes, unit, n);
        if (n) {
                *ret = n;
                return 0;
        }
        if (HASH_COUNT(g->nodes) >= UNIT_GRAPH_MAX)
                return -ENOSPC;
        n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        n->name = strdup(unit);
        if (!n->name) {
                free(n);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, g->nodes, n->name, strlen(n->name), n);
        *ret = n;
        return 1;
}

const char *unit_node_name(const UnitNode *n)
{
        return n->name;
}

int unit_node_needs(UnitNode *n, UnitNode *other)
{
        return append(&n->needs, other);
}

void unit_node_set_alias(UnitNode *n, UnitNode *of)
{
        n->alias_of = of;
}

/* An alias refers to another alias only if units were reloaded between two answers. */
static UnitNode *resolve(UnitNode *n)
{
        return n->alias_of ?: n;
}

int unit_graph_watch(UnitGraph *g, const char *slug, UnitNode *n)
{
        Watcher *w;
        int r;

        HASH_FIND_STR(g->watchers, slug, w);
        if (!w) {
                w = calloc(1, sizeof(*w));
                if (!w)
                        return -ENOMEM;
                w->slug = slug;
                HASH_ADD_KEYPTR(hh, g->watchers, w->slug, strlen(w->slug), w);
        }
        r = append(&w->units, resolve(n));
        return r < 0 ? r : append(&resolve(n)->watchers, w);
}

static int compare_slugs(const void *a, const void *b)
{
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static int join(const char **slugs, size_t n, char **ret)
{
        _cleanup_free_ char *s = NULL;
        size_t size = 1;
        char *p;

        for (size_t i = 0; i < n; i++)
                size += strlen(slugs[i]) + strlen(", ");
        s = p = malloc(size);
        if (!s)
                return -ENOMEM;
        *p = '\0';
        for (size_t i = 0; i < n; i++) {
                p = stpcpy(p, i > 0 ? ", " : "");
                p = stpcpy(p, slugs[i]);
        }
        *ret = TAKE_PTR(s);
        return 0;
}

/* Adds the services that watch the unit, up to the limit. */
static void collect(UnitGraph *g, const UnitNode *n, const char **slugs, size_t max, size_t *count)
{
        for (size_t i = 0; i < n->watchers.n && *count < max; i++) {
                Watcher *w = n->watchers.items[i];

                if (w->visit == g->visit)
                        continue;
                w->visit = g->visit;
                slugs[(*count)++] = w->slug;
        }
}

int unit_graph_depends_on(UnitGraph *g, const char *slug, size_t max, char **ret)
{
        _cleanup_free_ const char **slugs = NULL;
        _cleanup_free_ UnitNode **queue = NULL;
        size_t head = 0, tail = 0, count = 0;
        Watcher *self;

        HASH_FIND_STR(g->watchers, slug, self);
        if (!self)
                return join(NULL, 0, ret);
        queue = calloc(self->units.n + HASH_COUNT(g->nodes), sizeof(*queue));
        slugs = calloc(max, sizeof(*slugs));
        if (!queue || !slugs)
                return -ENOMEM;
        self->visit = ++g->visit;
        /* A service does not need its own units, unless a cycle leads back to one: the unit then enters the queue
         * once more. */
        for (size_t i = 0; i < self->units.n; i++)
                queue[tail++] = self->units.items[i];
        while (head < tail && count < max) {
                const UnitNode *n = queue[head++];

                for (size_t i = 0; i < n->needs.n; i++) {
                        UnitNode *other = resolve(n->needs.items[i]);

                        if (other->visit == g->visit)
                                continue;
                        other->visit = g->visit;
                        collect(g, other, slugs, max, &count);
                        queue[tail++] = other;
                }
        }
        qsort(slugs, count, sizeof(*slugs), compare_slugs);
        return join(slugs, count, ret);
}
