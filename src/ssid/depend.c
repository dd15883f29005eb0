/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>
#include <utlist.h>

#include "depend.h"
#include "shared/log.h"
#include "service.h"
#include "shared/metadata.h"
#include "shared/slug.h"
#include "systemd-query.h"
#include "unit-graph.h"

#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

/* Services are often added one after another, each with a daemon-reload. */
#define DELAY_USEC (300 * USEC_PER_MSEC)

/* The first is a string, the others are lists of strings. */
static const char *const properties[] = { "Id", "Requires", "Requisite", "BindsTo", "PartOf" };

/* A unit whose properties are being read from systemd, one after another. */
typedef struct Asking {
        Dependencies *dependencies;
        UnitNode *node;
        size_t property;
        SystemdQuery *query;
        struct Asking *prev, *next;
} Asking;

struct Dependencies {
        Agent *agent;
        sd_event_source *timer;
        UnitGraph *graph;
        Asking *asking;
        bool incomplete;
};

static void asking_free(Asking *a)
{
        DL_DELETE(a->dependencies->asking, a);
        systemd_query_free(a->query);
        free(a);
}

static void forget(Dependencies *d)
{
        Asking *a, *tmp;

        DL_FOREACH_SAFE(d->asking, a, tmp)
                asking_free(a);
        d->graph = unit_graph_free(d->graph);
        d->incomplete = false;
}

/* ---- The result ---- */

/* Calls f for each unit that the service watches. */
static int for_each_watched(Dependencies *d, const Service *s,
                            int (*f)(Dependencies *d, const Service *s, const char *unit))
{
        const char *list = s->watches, *word;
        int r = 0;
        size_t n;

        /* A header that was edited by hand may contain anything. */
        for (unsigned i = 0; r >= 0 && i < METADATA_WATCHES_MAX && (n = metadata_next_word(&list, &word)) > 0; i++) {
                _cleanup_free_ char *unit = memdup_string(word, n);

                r = unit ? f(d, s, unit) : -ENOMEM;
        }
        return r;
}

static int set_watched(Dependencies *d, const Service *s, const char *unit)
{
        UnitNode *n;
        int r;

        r = unit_graph_add(d->graph, unit, &n);
        if (r == -ENOSPC)
                return 0;
        return r < 0 ? r : unit_graph_watch(d->graph, s->slug, n);
}

static int conclude(Dependencies *d)
{
        Service *s, *tmp;
        int r;

        HASH_ITER(hh, d->agent->services, s, tmp) {
                r = for_each_watched(d, s, set_watched);
                if (r < 0)
                        return r;
        }
        HASH_ITER(hh, d->agent->services, s, tmp) {
                _cleanup_free_ char *list = NULL;

                r = unit_graph_depends_on(d->graph, s->slug, DEPENDS_ON_MAX, &list);
                if (r >= 0)
                        r = service_set_depends_on(s, list);
                if (r < 0)
                        return r;
        }
        if (d->incomplete)
                log_warning(
                        "The watched units depend on more than %d others; some dependencies of services may be missing.",
                        UNIT_GRAPH_MAX);
        return 0;
}

static void conclude_when_done(Dependencies *d)
{
        int r;

        if (d->asking)
                return;
        r = conclude(d);
        if (r < 0)
                log_warning_errno(r, "Cannot determine what services depend on");
        forget(d);
}

/* ---- Asking ---- */

static int on_property(sd_bus_message *reply, void *userdata, sd_bus_error *error);

static int ask_next(Asking *a)
{
        return systemd_query_unit_property(a->dependencies->agent->queries, unit_node_name(a->node), UNIT_INTERFACE,
                                           properties[a->property], on_property, a, &a->query);
}

static int ask(Dependencies *d, const char *unit, UnitNode **ret)
{
        UnitNode *n;
        Asking *a;
        int r;

        r = unit_graph_add(d->graph, unit, &n);
        if (r < 0)
                return r;
        if (ret)
                *ret = n;
        if (r == 0)
                return 0;
        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->dependencies = d;
        a->node = n;
        DL_APPEND(d->asking, a);
        r = ask_next(a);
        if (r < 0)
                asking_free(a);
        return r;
}

/* The unit's own name differs: query that name instead and return 0. */
static int read_id(Asking *a, sd_bus_message *reply)
{
        const char *id;
        UnitNode *of;
        int r;

        r = sd_bus_message_read(reply, "v", "s", &id);
        if (r < 0 || streq(id, unit_node_name(a->node)))
                return r < 0 ? r : 1;
        r = ask(a->dependencies, id, &of);
        if (r < 0)
                return r;
        unit_node_set_alias(a->node, of);
        return 0;
}

static int read_needs(Asking *a, sd_bus_message *reply)
{
        const char *unit;
        UnitNode *other;
        int r;

        r = sd_bus_message_enter_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(reply, "s", &unit)) > 0) {
                r = ask(a->dependencies, unit, &other);
                if (r >= 0)
                        r = unit_node_needs(a->node, other);
        }
        return r < 0 ? r : 1;
}

/* systemd may not know the unit, and names in headers may be invalid: such units depend on nothing. */
static int on_property(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Asking *a = userdata;
        Dependencies *d = a->dependencies;
        int r = 0;

        a->query = systemd_query_free(a->query);
        if (!sd_bus_message_is_method_error(reply, NULL))
                r = a->property == 0 ? read_id(a, reply) : read_needs(a, reply);
        if (r > 0)
                r = ++a->property < ELEMENTSOF(properties) ? ask_next(a) : 0;
        if (r == -ENOSPC)
                d->incomplete = true;
        else if (r < 0)
                log_warning_errno(r, "Cannot read what %s needs", unit_node_name(a->node));
        if (!a->query)
                asking_free(a);
        conclude_when_done(d);
        return 0;
}

/* ---- The start ---- */

static int ask_watched(Dependencies *d, const Service *s, const char *unit)
{
        int r = ask(d, unit, NULL);

        if (r == -ENOSPC)
                d->incomplete = true;
        return r == -ENOSPC ? 0 : r;
}

static int begin(Dependencies *d)
{
        Service *s, *tmp;
        size_t n = 0;
        int r;

        forget(d);
        d->graph = unit_graph_new();
        if (!d->graph)
                return -ENOMEM;
        HASH_ITER(hh, d->agent->services, s, tmp)
                n += !isempty(s->watches);
        /* A single service depends on no other. */
        if (n < 2)
                return 0;
        HASH_ITER(hh, d->agent->services, s, tmp) {
                r = for_each_watched(d, s, ask_watched);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Dependencies *d = userdata;
        int r;

        r = begin(d);
        if (r < 0)
                log_warning_errno(r, "Cannot ask systemd what services depend on");
        else
                conclude_when_done(d);
        return 0;
}

int dependencies_update(Agent *a)
{
        Dependencies *d = a->dependencies;
        int r;

        if (!d) {
                d = calloc(1, sizeof(*d));
                if (!d)
                        return -ENOMEM;
                d->agent = a;
                a->dependencies = d;
        }
        if (!d->timer)
                return sd_event_add_time_relative(a->event, &d->timer, CLOCK_MONOTONIC, DELAY_USEC, 0, on_timer, d);
        r = sd_event_source_set_time_relative(d->timer, DELAY_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

Dependencies *dependencies_free(Dependencies *d)
{
        if (!d)
                return NULL;
        forget(d);
        sd_event_source_disable_unref(d->timer);
        free(d);
        return NULL;
}
