/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "agent/depend-graph.h"
#include "agent/message-internal.h"
#include "db/array.h"
#include "shared/metadata.h"
#include "shared/slug.h"

/* ---- The inventory: the services of a host and their dependencies ---- */

/* The array at key, and its length: 0 if it is absent. */
static int get_words(Parser *p, json_object *o, const char *key, size_t max, json_object **ret)
{
        json_object *array = json_get_array(o, key);

        if (!array && parse_is_given(o, key))
                return parse_refuse(p, -EBADMSG, "%s is not an array", key);
        if (array && json_object_array_length(array) > max)
                return parse_refuse(p, -EMSGSIZE, "%s has more than %zu elements", key, max);
        *ret = array;
        return array ? (int) json_object_array_length(array) : 0;
}

static int get_word(Parser *p, json_object *array, int i, const char *key, const char **ret)
{
        json_object *o = json_object_array_get_idx(array, (size_t) i);
        const char *s = json_object_is_type(o, json_type_string) ? json_object_get_string(o) : NULL;

        if (!s || strlen(s) != (size_t) json_object_get_string_len(o))
                return parse_refuse(p, -EBADMSG, "an element of %s is not a string", key);
        *ret = s;
        return 0;
}

/* For display only. */
static int get_watches(Parser *p, json_object *o, char **ret)
{
        _cleanup_(db_array_free) DbArray list = {};
        json_object *array = NULL;
        const char *unit = NULL;
        int r, n;

        n = get_words(p, o, "watches", METADATA_WATCHES_MAX, &array);
        if (n <= 0)
                return n;
        for (int i = 0; i < n; i++) {
                r = get_word(p, array, i, "watches", &unit);
                if (r < 0)
                        return r;
                /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): set when r >= 0 */
                if (strlen(unit) > UNIT_NAME_MAX)
                        return parse_refuse(p, -EMSGSIZE, "an element of watches is longer than %d bytes",
                                            UNIT_NAME_MAX);
                db_array_text(&list, unit);
        }
        if (!db_array_done(&list))
                return -ENOMEM;
        *ret = strdup(list.text);
        return *ret ? 0 : -ENOMEM;
}

/* Agents of schema 8 and before send these two as members of the service. What is not usable was never refused. */
static int get_members(json_object *o, json_object **ret)
{
        static const char *const keys[] = { "description", "version" };
        _cleanup_json_ json_object *object = NULL;
        size_t n = 0, size = 0;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *value = json_get_string(o, keys[i]);

                if (!value || !metadata_passive_fits(keys[i], value, &n, &size))
                        continue;
                if (!object)
                        object = json_object_new_object();
                if (!object || json_add_string(object, keys[i], value) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(object);
        return 0;
}

/* For display only, with any keys. */
static int get_metadata(Parser *p, json_object *o, char **ret)
{
        json_object *object = json_get_object(o, "metadata");
        _cleanup_json_ json_object *members = NULL;
        size_t n = 0, size = 0;
        int r;

        if (!object && parse_is_given(o, "metadata"))
                return parse_refuse(p, -EBADMSG, "metadata is not an object");
        if (!object) {
                r = get_members(o, &members);
                if (r < 0 || !members)
                        return r;
                object = members;
        }
        json_object_object_foreach(object, key, value)
        {
                if (!json_object_is_type(value, json_type_string) || !json_get_string(object, key))
                        return parse_refuse(p, -EBADMSG, "a member of metadata is not a string");
                if (!members && !metadata_passive_fits(key, json_object_get_string(value), &n, &size))
                        return parse_refuse(p, -EMSGSIZE, "metadata has too many members, or one that is not allowed");
        }
        *ret = strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
        return *ret ? 0 : -ENOMEM;
}

static int parse_inventory_service(Parser *p, json_object *o, InventoryService *s)
{
        const char *name = NULL;
        int r;

        s->timeout_ms = -1;
        s->next_run = USEC_INFINITY;
        s->enabled = true;
        r = parse_get_slug(p, o, &name);
        if (r < 0)
                return r;
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): set when r >= 0 */
        s->name = strdup(name);
        if (!s->name)
                return -ENOMEM;
        r = parse_copy_text(p, o, "title", false, NAME_LENGTH_MAX, &s->title);
        if (r < 0)
                return r;
        r = get_metadata(p, o, &s->metadata);
        if (r < 0)
                return r;
        r = parse_copy_text(p, o, "schedule", false, AGENT_MESSAGE_MAX, &s->schedule);
        if (r < 0)
                return r;
        r = parse_get_milliseconds(p, o, "timeout_ms", &s->timeout_ms);
        if (r < 0)
                return r;
        r = parse_get_time(p, o, "next_run", false, &s->next_run);
        if (r < 0)
                return r;
        if (json_get_bool(o, "enabled", &s->enabled) == -EINVAL)
                return parse_refuse(p, -EBADMSG, "enabled is not a boolean");
        return get_watches(p, o, &s->watches);
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const InventoryService *) a)->name, ((const InventoryService *) b)->name);
}

static InventoryService *find_service(const IngestItem *item, const char *name)
{
        const InventoryService key = { .name = (char *) name };

        return item->n_services > 0 ? bsearch(&key, item->services, item->n_services, sizeof(key), compare_names) :
                                      NULL;
}

/* Names of missing services are ignored. */
static int add_dependencies(Parser *p, json_object *o, const IngestItem *item, DependGraph **graph)
{
        const InventoryService *from = find_service(item, json_get_string(o, "service_name"));
        json_object *array = NULL;
        int r, n;

        n = get_words(p, o, "depends_on", DEPENDS_ON_MAX, &array);
        if (n < 0)
                return n;
        for (int i = 0; i < n; i++) {
                const InventoryService *to;
                const char *name = NULL;

                r = get_word(p, array, i, "depends_on", &name);
                if (r < 0)
                        return r;
                if (!slug_is_valid(name))
                        return parse_refuse(p, -EBADMSG, "depends_on contains an invalid service_name");
                to = find_service(item, name);
                if (!to)
                        continue;
                if (!*graph) {
                        r = depend_graph_new(item->n_services, graph);
                        if (r < 0)
                                return r;
                }
                depend_graph_add(*graph, (size_t) (from - item->services), (size_t) (to - item->services));
        }
        return 0;
}

/* Needs all services, sorted by name. */
static int parse_dependencies(Parser *p, json_object *services, IngestItem *item)
{
        _cleanup_(depend_graph_freep) DependGraph *graph = NULL;
        int r;

        for (size_t i = 0; i < item->n_services; i++) {
                r = add_dependencies(p, json_object_array_get_idx(services, i), item, &graph);
                if (r < 0)
                        return r;
        }
        if (!graph)
                return 0;
        r = depend_graph_break_cycles(graph);
        if (r < 0)
                return r;
        for (size_t i = 0; i < item->n_services; i++) {
                _cleanup_(db_array_free) DbArray list = {};
                size_t to;

                for (size_t k = 0; depend_graph_get(graph, i, k, &to); k++)
                        db_array_text(&list, item->services[to].name);
                if (list.n == 0)
                        continue;
                if (!db_array_done(&list))
                        return -ENOMEM;
                item->services[i].depends_on = strdup(list.text);
                if (!item->services[i].depends_on)
                        return -ENOMEM;
        }
        return 0;
}

int parse_inventory(Parser *p, json_object *payload, IngestItem **list)
{
        json_object *services = json_get_array(payload, "services");
        _cleanup_(ingest_item_freep) IngestItem *item = NULL;
        IngestItem *taken;
        size_t n;
        int r;

        if (!services)
                return parse_refuse(p, -EBADMSG, "services is not an array");
        n = json_object_array_length(services);
        if (n > AGENT_INVENTORY_MAX)
                return parse_refuse(p, -EMSGSIZE, "services has more than %d elements", AGENT_INVENTORY_MAX);
        item = ingest_item_new(INGEST_INVENTORY, NULL);
        if (!item)
                return -ENOMEM;
        item->services = calloc(n + 1, sizeof(*item->services));
        if (!item->services)
                return -ENOMEM;
        for (; item->n_services < n;) {
                json_object *o = json_object_array_get_idx(services, item->n_services);

                if (!json_object_is_type(o, json_type_object))
                        return parse_refuse(p, -EBADMSG, "a service is not an object");
                r = parse_inventory_service(p, o, &item->services[item->n_services++]);
                if (r < 0)
                        return r;
        }
        qsort(item->services, n, sizeof(*item->services), compare_names);
        for (size_t i = 1; i < n; i++)
                if (streq(item->services[i - 1].name, item->services[i].name))
                        return parse_refuse(p, -EBADMSG, "%s is named twice", item->services[i].name);
        r = parse_dependencies(p, services, item);
        if (r < 0)
                return r;
        taken = TAKE_PTR(item);
        DL_APPEND(*list, taken);
        return 0;
}
