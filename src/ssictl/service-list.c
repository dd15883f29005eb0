/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service-list.h"
#include "shared/status.h"

void service_list_done(ServiceList *l)
{
        for (size_t i = 0; i < l->n; i++)
                service_info_done(l->infos + i);
        free(l->infos);
        *l = (ServiceList){};
}

static ServiceInfo *add_one(ServiceList *l, const char *path)
{
        ServiceInfo *grown = reallocarray(l->infos, l->n + 1, sizeof(*grown));

        if (!grown)
                return NULL;
        l->infos = grown;
        grown[l->n] = (ServiceInfo){ .path = strdup(path) };
        return grown + l->n++;
}

static int severity(const ServiceInfo *i)
{
        int status = isempty(i->status) ? -1 : (int) status_from_string(i->status);

        /* An execution error counts like a warning: something needs attention. */
        return service_info_has_error(i) ? MAX(status, STATUS_WARNING) : status;
}

static int compare(const void *a, const void *b)
{
        const ServiceInfo *x = a, *y = b;
        int d = severity(y) - severity(x);

        return d != 0 ? d : strcmp(strempty(x->name), strempty(y->name));
}

/* Reads one object of GetManagedObjects, {oa{sa{sv}}}, after its path. */
static int read_interfaces(sd_bus_message *m, const char *path, ServiceList *l)
{
        const char *interface;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                if (r < 0)
                        return r;
                if (streq(interface, AGENT_SERVICE_INTERFACE)) {
                        ServiceInfo *i = add_one(l, path);

                        r = i ? service_info_read(m, i) : -ENOMEM;
                } else
                        r = sd_bus_message_skip(m, "a{sv}");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(sd_bus_message *m, ServiceList *l)
{
        const char *path;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                if ((r = sd_bus_message_read(m, "o", &path)) < 0 || (r = read_interfaces(m, path, l)) < 0 ||
                    (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        }
        return r;
}

/* Reads the same fields as read_objects(), except those that no overview shows. */
static int read_briefs(sd_bus_message *m, ServiceList *l)
{
        const char *name, *title, *status, *message, *result, *detail, *path;
        uint64_t timestamp, next;
        int enabled, r;

        r = sd_bus_message_enter_container(m, 'a', "(sssstsstbo)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sssstsstbo)", &name, &title, &status, &message, &timestamp, &result,
                                        &detail, &next, &enabled, &path)) > 0) {
                ServiceInfo *i = add_one(l, path);

                if (!i)
                        return -ENOMEM;
                i->name = strdup(name);
                i->title = strdup(title);
                i->status = strdup(status);
                i->message = strdup(message);
                i->last_run_result = strdup(result);
                i->last_run_detail = strdup(detail);
                if (!i->name || !i->title || !i->status || !i->message || !i->last_run_result || !i->last_run_detail)
                        return -ENOMEM;
                i->status_timestamp = timestamp;
                i->next_run = next;
                i->enabled = enabled;
        }
        return r;
}

static int get(Ctl *c, const char *interface, const char *member, int (*read)(sd_bus_message *m, ServiceList *l),
               ServiceList *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(service_list_done) ServiceList l = {};
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, AGENT_PATH, interface, member);
        if (r < 0)
                return r;
        r = ctl_call(c, m, &reply);
        if (r < 0)
                return r;
        r = read(reply, &l);
        if (r < 0) {
                ctl_say_error("Cannot read the agent's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        if (l.n > 0)
                qsort(l.infos, l.n, sizeof(*l.infos), compare);
        *ret = l;
        l = (ServiceList){};
        return 0;
}

int service_list_get(Ctl *c, ServiceList *ret)
{
        return get(c, AGENT_MANAGER_INTERFACE, "ListServices", read_briefs, ret);
}

int service_list_get_all(Ctl *c, ServiceList *ret)
{
        return get(c, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", read_objects, ret);
}

json_object *service_list_to_json(const ServiceList *l)
{
        _cleanup_json_ json_object *array = json_object_new_array();

        if (!array)
                return NULL;
        for (size_t i = 0; i < l->n; i++) {
                json_object *o = service_info_to_json(l->infos + i);

                if (!o || json_object_array_add(array, o) < 0) {
                        json_object_put(o);
                        return NULL;
                }
        }
        return TAKE_PTR(array);
}
