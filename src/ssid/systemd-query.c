/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "shared/log.h"
#include "systemd-client.h"
#include "systemd-query.h"

#define IN_FLIGHT_MAX 32U

struct SystemdQuery {
        SystemdQueries *queries;
        /* A message takes a kilobyte, so the call for a property is built only when it is sent. */
        sd_bus_message *call;
        char *path;
        const char *interface, *property;
        bool waits;
        sd_bus_slot *slot;
        sd_bus_message_handler_t callback;
        void *userdata;
        SystemdQuery *prev, *next; /* for the list of those that wait, or that of the abandoned ones */
};

struct SystemdQueries {
        sd_bus *bus;
        SystemdQuery *waiting;
        SystemdQuery *abandoned; /* freed by their owners, but systemd will still answer */
        unsigned n_in_flight;    /* with those */
};

int systemd_queries_new(sd_bus *bus, SystemdQueries **ret)
{
        SystemdQueries *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->bus = sd_bus_ref(bus);
        *ret = q;
        return 0;
}

static void abandoned_free(SystemdQuery *query)
{
        DL_DELETE(query->queries->abandoned, query);
        sd_bus_slot_unref(query->slot);
        free(query);
}

SystemdQueries *systemd_queries_free(SystemdQueries *q)
{
        if (!q)
                return NULL;
        while (q->abandoned)
                abandoned_free(q->abandoned);
        sd_bus_unref(q->bus);
        free(q);
        return NULL;
}

static void send_waiting(SystemdQueries *q);

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        SystemdQuery *query = userdata;
        SystemdQueries *q = query->queries;

        q->n_in_flight--;
        if (query->callback)
                query->slot = sd_bus_slot_unref(query->slot);
        else
                abandoned_free(TAKE_PTR(query));
        send_waiting(q);
        return query ? query->callback(reply, query->userdata, error) : 0;
}

static int make_call(SystemdQuery *query)
{
        int r;

        if (query->call)
                return 0;
        r = sd_bus_message_new_method_call(query->queries->bus, &query->call, "org.freedesktop.systemd1", query->path,
                                           "org.freedesktop.DBus.Properties", "Get");
        return r < 0 ? r : sd_bus_message_append(query->call, "ss", query->interface, query->property);
}

static void send_waiting(SystemdQueries *q)
{
        while (q->waiting && q->n_in_flight < IN_FLIGHT_MAX) {
                SystemdQuery *query = q->waiting;
                int r;

                DL_DELETE(q->waiting, query);
                query->waits = false;
                r = make_call(query);
                if (r >= 0)
                        r = systemd_send_async(q->bus, query->call, on_reply, query, &query->slot);
                query->call = sd_bus_message_unref(query->call);
                if (r < 0)
                        log_warning_errno(r, "Cannot ask systemd");
                else
                        q->n_in_flight++;
        }
}

static int enqueue(SystemdQueries *q, const SystemdQuery *what, SystemdQuery **ret)
{
        SystemdQuery *query = malloc(sizeof(*query));

        if (!query)
                return -ENOMEM;
        *query = *what;
        query->queries = q;
        query->waits = true;
        DL_APPEND(q->waiting, query);
        *ret = query;
        send_waiting(q);
        return 0;
}

int systemd_query_new(SystemdQueries *q, sd_bus_message *call, sd_bus_message_handler_t callback, void *userdata,
                      SystemdQuery **ret)
{
        const SystemdQuery query = { .call = call, .callback = callback, .userdata = userdata };
        int r;

        sd_bus_message_ref(call);
        r = enqueue(q, &query, ret);
        if (r < 0)
                sd_bus_message_unref(call);
        return r;
}

SystemdQuery *systemd_query_free(SystemdQuery *query)
{
        if (!query)
                return NULL;
        if (query->waits)
                DL_DELETE(query->queries->waiting, query);
        sd_bus_message_unref(query->call);
        free(query->path);
        if (query->slot) {
                /* The bus counts it until it is answered. */
                query->callback = NULL;
                query->call = NULL;
                query->path = NULL;
                DL_APPEND(query->queries->abandoned, query);
                return NULL;
        }
        free(query);
        return NULL;
}

int systemd_query_property(SystemdQueries *q, const char *path, const char *interface, const char *property,
                           sd_bus_message_handler_t callback, void *userdata, SystemdQuery **ret)
{
        _cleanup_free_ char *copy = strdup(path);
        const SystemdQuery query = {
                .path = copy, .interface = interface, .property = property, .callback = callback, .userdata = userdata
        };
        int r;

        if (!copy)
                return -ENOMEM;
        r = enqueue(q, &query, ret);
        if (r >= 0)
                (void) TAKE_PTR(copy);
        return r;
}

int systemd_query_unit_property(SystemdQueries *q, const char *unit, const char *interface, const char *property,
                                sd_bus_message_handler_t callback, void *userdata, SystemdQuery **ret)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, unit, &path);
        return r < 0 ? r : systemd_query_property(q, path, interface, property, callback, userdata, ret);
}
