#include <uthash.h>

#include "bus-util.h"
#include "inventory.h"
#include "log.h"
#include "slug.h"

#define SERVICES_MAX 4096U

#define DELAY_SOON_USEC  (200 * USEC_PER_MSEC)
#define DELAY_LATER_USEC (5 * USEC_PER_SEC)

typedef struct Entry {
        char *path;
        ServiceInfo info;
        bool seen; /* in the list that is being read */
        UT_hash_handle hh;
} Entry;

struct Inventory {
        sd_bus *bus;
        void (*changed)(void *userdata);
        void *userdata;
        Entry *entries;
        bool known;
        bool soon; /* the timer that runs is the short one */
        sd_bus_slot *call, *name_match, *manager_match, *properties_match;
        sd_event_source *timer;
};

/* --- telling of changes --- */

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Inventory *i = userdata;

        i->timer = sd_event_source_unref(i->timer);
        i->soon = false;
        i->changed(i->userdata);
        return 0;
}

static void schedule(Inventory *i, bool soon)
{
        int r;

        if (i->timer && (i->soon || !soon))
                return;
        i->timer = sd_event_source_disable_unref(i->timer);
        i->soon = soon;
        r = sd_event_add_time_relative(sd_bus_get_event(i->bus), &i->timer, CLOCK_MONOTONIC,
                                       soon ? DELAY_SOON_USEC : DELAY_LATER_USEC, 0, on_timer, i);
        if (r < 0)
                log_error_errno(r, "Cannot set a timer for the inventory");
}

/* --- reading --- */

static Entry *entry_free(Inventory *i, Entry *e)
{
        HASH_DEL(i->entries, e);
        service_info_done(&e->info);
        free(e->path);
        free(e);
        return NULL;
}

static int entry_get(Inventory *i, const char *path, Entry **ret)
{
        Entry *e;

        HASH_FIND_STR(i->entries, path, e);
        if (!e) {
                if (HASH_COUNT(i->entries) >= SERVICES_MAX)
                        return -ENOSPC;
                e = calloc(1, sizeof(*e));
                if (!e)
                        return -ENOMEM;
                e->path = strdup(path);
                if (!e->path) {
                        free(e);
                        return -ENOMEM;
                }
                HASH_ADD_KEYPTR(hh, i->entries, e->path, strlen(e->path), e);
        }
        *ret = e;
        return 0;
}

static int read_string(sd_bus_message *m, char **field)
{
        const char *s;
        int r;

        r = sd_bus_message_read(m, "v", "s", &s);
        return r < 0 ? r : free_and_strdup(field, s);
}

/* Words are kept with commas between them. */
static int read_words(sd_bus_message *m, char **field)
{
        _cleanup_free_ char *words = NULL;
        const char *word;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &word)) > 0) {
                char *longer;

                if (asprintf(&longer, "%s%s%s", strempty(words), words ? ", " : "", word) < 0)
                        return -ENOMEM;
                free(words);
                words = longer;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : free_and_strdup(field, words);
}

static int read_usec(sd_bus_message *m, uint64_t *field)
{
        uint64_t v;
        int r;

        r = sd_bus_message_read(m, "v", "t", &v);
        if (r < 0)
                return r;
        r = v != *field;
        *field = v;
        return r;
}

static int read_bool(sd_bus_message *m, bool *field)
{
        int r, v;

        r = sd_bus_message_read(m, "v", "b", &v);
        if (r < 0)
                return r;
        r = v != *field;
        *field = v;
        return r;
}

/* 1 when the value changed something that the inventory tells. */
static int read_property(sd_bus_message *m, const char *name, ServiceInfo *s, bool *ret_next_run)
{
        int r;

        if (streq(name, "Name"))
                return read_string(m, &s->slug);
        if (streq(name, "Title"))
                return read_string(m, &s->title);
        if (streq(name, "Description"))
                return read_string(m, &s->description);
        if (streq(name, "ScriptVersion"))
                return read_string(m, &s->version);
        if (streq(name, "Schedule"))
                return read_string(m, &s->schedule);
        if (streq(name, "Watches"))
                return read_words(m, &s->watches);
        if (streq(name, "DependsOn"))
                return read_words(m, &s->depends_on);
        if (streq(name, "TimeoutUSec"))
                return read_usec(m, &s->timeout_usec);
        if (streq(name, "Enabled"))
                return read_bool(m, &s->enabled);
        if (streq(name, "NextRunUSec")) {
                r = read_usec(m, &s->next_run);
                *ret_next_run |= r > 0;
                return MIN(r, 0);
        }
        r = sd_bus_message_skip(m, "v");
        return MIN(r, 0);
}

/* An a{sv} of the service interface. */
static int read_properties(Inventory *i, sd_bus_message *m, Entry *e)
{
        bool changed = false, next_run = false;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = read_property(m, name, &e->info, &next_run);
                changed |= r > 0;
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (changed || next_run)
                schedule(i, changed);
        return r;
}

/* An object path and its a{sa{sv}}. Objects that are no services are skipped. */
static int read_object(Inventory *i, sd_bus_message *m)
{
        const char *path, *interface;
        int r;

        r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                if (r >= 0 && streq(interface, AGENT_SERVICE_INTERFACE)) {
                        Entry *e = NULL;

                        r = entry_get(i, path, &e);
                        if (r >= 0) {
                                e->seen = true;
                                r = read_properties(i, m, e);
                        }
                } else if (r >= 0)
                        r = sd_bus_message_skip(m, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(Inventory *i, sd_bus_message *m)
{
        Entry *e, *tmp;
        int r;

        HASH_ITER(hh, i->entries, e, tmp)
                e->seen = false;
        r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = read_object(i, m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        HASH_ITER(hh, i->entries, e, tmp)
                if (!e->seen) {
                        entry_free(i, e);
                        schedule(i, true);
                }
        if (!i->known)
                schedule(i, true);
        i->known = true;
        return 0;
}

/* --- ssid on the bus --- */

static int on_objects(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Inventory *i = userdata;
        int r;

        i->call = sd_bus_slot_unref(i->call);
        if (sd_bus_message_is_method_error(m, NULL)) {
                log_debug("ssid does not list its services: %s", sd_bus_message_get_error(m)->message);
                return 0;
        }
        r = read_objects(i, m);
        if (r < 0)
                log_warning_errno(r, "Cannot read the list of services");
        return 0;
}

/* ssid is not started for this: when it comes, its name tells. */
static int fetch(Inventory *i)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        i->call = sd_bus_slot_unref(i->call);
        r = sd_bus_message_new_method_call(i->bus, &m, AGENT_BUS_NAME, AGENT_PATH,
                                           "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(m, false);
        return r < 0 ? r : sd_bus_call_async(i->bus, &i->call, m, on_objects, i, 0);
}

static int on_name_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Inventory *i = userdata;
        const char *owner;
        int r;

        r = sd_bus_message_read(m, "sss", NULL, NULL, &owner);
        if (r >= 0 && !isempty(owner))
                r = fetch(i);
        if (r < 0)
                log_warning_errno(r, "Cannot ask ssid for its services");
        return 0;
}

static int on_manager_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Inventory *i = userdata;
        const char *path;
        Entry *e;
        int r = 0;

        if (!i->known)
                return 0;
        if (sd_bus_message_is_signal(m, NULL, "InterfacesAdded"))
                r = read_object(i, m);
        else if (sd_bus_message_is_signal(m, NULL, "InterfacesRemoved")) {
                r = sd_bus_message_read(m, "o", &path);
                if (r >= 0) {
                        HASH_FIND_STR(i->entries, path, e);
                        if (e) {
                                entry_free(i, e);
                                schedule(i, true);
                        }
                }
        }
        if (r < 0)
                log_warning_errno(r, "Cannot read a change of the services");
        return 0;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *path = sd_bus_message_get_path(m), *interface;
        Inventory *i = userdata;
        Entry *e;
        int r;

        if (!i->known || !path)
                return 0;
        HASH_FIND_STR(i->entries, path, e);
        if (!e)
                return 0;
        r = sd_bus_message_read(m, "s", &interface);
        if (r >= 0 && streq(interface, AGENT_SERVICE_INTERFACE))
                r = read_properties(i, m, e);
        if (r < 0)
                log_warning_errno(r, "Cannot read a change of a service");
        return 0;
}

int inventory_message(Inventory *i, char **ret)
{
        _cleanup_free_ const ServiceInfo **list = NULL;
        Entry *e, *tmp;
        size_t n = 0;
        int r;

        if (!i->known)
                return 0;
        list = calloc(HASH_COUNT(i->entries) + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        HASH_ITER(hh, i->entries, e, tmp)
                if (e->info.slug && slug_is_valid(e->info.slug))
                        list[n++] = &e->info;
        r = message_inventory(list, ret);
        return r < 0 ? r : 1;
}

int inventory_new(sd_bus *bus, void (*changed)(void *userdata), void *userdata, Inventory **ret)
{
        _cleanup_(inventory_freep) Inventory *i = NULL;
        int r;

        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        i->bus = sd_bus_ref(bus);
        i->changed = changed;
        i->userdata = userdata;
        r = sd_bus_add_match_async(bus, &i->name_match,
                                   "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                                   "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                   "arg0='" AGENT_BUS_NAME "'",
                                   on_name_owner, NULL, i);
        if (r < 0)
                return r;
        r = sd_bus_add_match_async(bus, &i->manager_match,
                                   "type='signal',sender='" AGENT_BUS_NAME "',path='" AGENT_PATH "',"
                                   "interface='org.freedesktop.DBus.ObjectManager'",
                                   on_manager_signal, NULL, i);
        if (r < 0)
                return r;
        r = sd_bus_add_match_async(bus, &i->properties_match,
                                   "type='signal',sender='" AGENT_BUS_NAME "',path_namespace='" AGENT_SERVICE_PATH "',"
                                   "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
                                   on_properties, NULL, i);
        if (r < 0)
                return r;
        r = fetch(i);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(i);
        return 0;
}

Inventory *inventory_free(Inventory *i)
{
        Entry *e, *tmp;

        if (!i)
                return NULL;
        sd_bus_slot_unref(i->call);
        sd_bus_slot_unref(i->name_match);
        sd_bus_slot_unref(i->manager_match);
        sd_bus_slot_unref(i->properties_match);
        sd_event_source_disable_unref(i->timer);
        HASH_ITER(hh, i->entries, e, tmp)
                entry_free(i, e);
        sd_bus_unref(i->bus);
        free(i);
        return NULL;
}
