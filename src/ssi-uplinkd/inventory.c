/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <uthash.h>

#include "shared/bus-owner.h"
#include "shared/bus-util.h"
#include "inventory.h"
#include "shared/log.h"
#include "service-property.h"
#include "shared/slug.h"
#include "shared/time-util.h"

#define SERVICES_MAX 4096U

/* Changes that come together are read once. */
#define READ_DELAY_USEC (50 * USEC_PER_MSEC)
/* After a read that ssid did not answer. */
#define READ_AGAIN_USEC (5 * USEC_PER_SEC)
/* Between reads of a service that has run but that ssid does not show yet. */
#define READ_EXPECTED_USEC (200 * USEC_PER_MSEC)
/* By default, the bus allows a connection 128 unanswered calls. */
#define READS_MAX 32U

/* How long the inventory waits for ssid to show a service that has run: a new service may run before ssid shows it. */
#define EXPECT_USEC (10 * USEC_PER_SEC)

#define DELAY_SOON_USEC  (200 * USEC_PER_MSEC)
#define DELAY_LATER_USEC (5 * USEC_PER_SEC)

typedef struct Entry {
        Inventory *inventory;
        char *path;
        ServiceInfo info;
        bool known;              /* info has been read */
        bool hinted;             /* it may have changed since it was read */
        bool seen;               /* found in the list that is being read */
        uint64_t expected_until; /* CLOCK_MONOTONIC, usec: it has run, so wait for ssid to show it; 0: not waiting */
        sd_bus_slot *call;
        UT_hash_handle hh;
} Entry;

struct Inventory {
        sd_bus *bus;
        void (*changed)(void *userdata);
        void *userdata;
        Entry *entries;
        bool known;
        bool soon; /* the running timer is the short one */
        BusOwner *agent;
        sd_bus_slot *call, *manager_match, *properties_match;
        sd_event_source *timer, *read_timer;
        bool list_hinted; /* the whole list must be read again */
        unsigned n_hinted, n_reads;
};

/* --- reporting changes --- */

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
        if (e->call) {
                sd_bus_slot_unref(e->call);
                i->n_reads--;
        }
        i->n_hinted -= e->hinted;
        service_info_done(&e->info);
        free(e->path);
        free(e);
        return NULL;
}

/* The service is gone, or never existed. */
static void forget(Inventory *i, Entry *e)
{
        if (e->known || e->expected_until > 0)
                schedule(i, true);
        entry_free(i, e);
}

static bool is_expected(const Entry *e)
{
        return !e->known && e->expected_until > now_usec(CLOCK_MONOTONIC);
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
                e->inventory = i;
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

/* Reads an a{sv} of the service interface. */
static int read_properties(Inventory *i, sd_bus_message *m, Entry *e)
{
        bool changed = false, next_run = false;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = service_property_read(m, name, &e->info, &next_run);
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

/* Reads an object path and its a{sa{sv}}. Skips objects that are not services. */
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
                                e->seen = e->known = true;
                                e->expected_until = 0;
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
                /* A service that appeared after the call is read separately. */
                if (!e->seen && !e->hinted && !e->call)
                        forget(i, e);
        if (!i->known)
                schedule(i, true);
        i->known = true;
        return 0;
}

/* --- asking ssid --- */

/* Signals only tell where something may have changed. ssid is then asked for the current values. */

static int on_time_to_read(sd_event_source *s, uint64_t usec, void *userdata);

static void read_later(Inventory *i, uint64_t delay)
{
        int r;

        if (i->read_timer)
                return;
        r = sd_event_add_time_relative(sd_bus_get_event(i->bus), &i->read_timer, CLOCK_MONOTONIC, delay, 0,
                                       on_time_to_read, i);
        if (r < 0)
                log_error_errno(r, "Cannot set a timer for the inventory");
}

static void hint(Inventory *i, Entry *e, uint64_t delay)
{
        i->n_hinted += !e->hinted;
        e->hinted = true;
        read_later(i, delay);
}

/* When ssid comes back, everything is read again anyway. */
static bool is_away(const sd_bus_error *error)
{
        return sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

static int on_service(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *failed = sd_bus_message_get_error(m);
        Entry *e = userdata;
        Inventory *i = e->inventory;
        int r = 0;

        e->call = sd_bus_slot_unref(e->call);
        i->n_reads--;
        if (!failed) {
                e->known = true;
                e->expected_until = 0;
                r = read_properties(i, m, e);
        } else if (is_expected(e))
                hint(i, e, READ_EXPECTED_USEC);
        else if (e->expected_until > 0 ||
                 sd_bus_error_has_names(failed, SD_BUS_ERROR_UNKNOWN_OBJECT, SD_BUS_ERROR_UNKNOWN_INTERFACE))
                forget(i, e);
        else {
                log_debug("ssid does not describe %s: %s", e->path, failed->message);
                if (!is_away(failed))
                        hint(i, e, READ_AGAIN_USEC);
        }
        if (r < 0)
                log_warning_errno(r, "Cannot read a service from ssid");
        if (i->n_hinted > 0)
                read_later(i, READ_DELAY_USEC);
        return 0;
}

static int on_objects(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *failed = sd_bus_message_get_error(m);
        Inventory *i = userdata;
        int r;

        i->call = sd_bus_slot_unref(i->call);
        if (failed) {
                log_debug("ssid does not list its services: %s", failed->message);
                i->list_hinted = i->list_hinted || !is_away(failed);
        } else {
                r = read_objects(i, m);
                if (r < 0)
                        log_warning_errno(r, "Cannot read the list of services");
        }
        if (i->list_hinted)
                read_later(i, failed ? READ_AGAIN_USEC : READ_DELAY_USEC);
        return 0;
}

/* Does not start ssid: when it appears, its bus name is noticed. */
static int call_agent(Inventory *i, const char *path, const char *interface, const char *member, const char *argument,
                      sd_bus_message_handler_t callback, void *userdata, sd_bus_slot **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(i->bus, &m, AGENT_BUS_NAME, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0 && argument)
                r = sd_bus_message_append(m, "s", argument);
        return r < 0 ? r : sd_bus_call_async(i->bus, ret, m, callback, userdata, 0);
}

static int read_list(Inventory *i)
{
        if (i->call)
                return 0;
        i->list_hinted = false;
        return call_agent(i, AGENT_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL, on_objects, i,
                          &i->call);
}

static int read_entry(Inventory *i, Entry *e)
{
        int r;

        i->n_hinted--;
        e->hinted = false;
        r = call_agent(i, e->path, "org.freedesktop.DBus.Properties", "GetAll", AGENT_SERVICE_INTERFACE, on_service, e,
                       &e->call);
        if (r >= 0)
                i->n_reads++;
        return r;
}

/* Entries that exceed the limit now are read when earlier calls have been answered. */
static int on_time_to_read(sd_event_source *s, uint64_t usec, void *userdata)
{
        Inventory *i = userdata;
        Entry *e, *tmp;
        int r;

        i->read_timer = sd_event_source_unref(i->read_timer);
        r = i->list_hinted ? read_list(i) : 0;
        HASH_ITER(hh, i->entries, e, tmp)
                if (r >= 0 && e->hinted && !e->call && i->n_reads < READS_MAX)
                        r = read_entry(i, e);
        if (r < 0)
                log_warning_errno(r, "Cannot ask ssid for its services");
        return 0;
}

static void on_agent(const char *owner, void *userdata)
{
        Inventory *i = userdata;
        int r;

        if (!owner)
                return;
        i->list_hinted = true;
        r = read_list(i);
        if (r < 0)
                log_warning_errno(r, "Cannot ask ssid for its services");
}

/* --- signals from ssid --- */

static void hint_path(Inventory *i, const char *path)
{
        Entry *e = NULL;
        int r;

        r = entry_get(i, path, &e);
        if (r < 0)
                log_warning_errno(r, "Cannot follow the service %s", path);
        else
                hint(i, e, READ_DELAY_USEC);
}

/* A service was added or removed. */
static int on_manager_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Inventory *i = userdata;
        const char *path;

        if (bus_owner_sent(i->agent, m) && sd_bus_message_read(m, "o", &path) >= 0 &&
            startswith(path, AGENT_SERVICE_PATH "/"))
                hint_path(i, path);
        return 0;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Inventory *i = userdata;

        if (bus_owner_sent(i->agent, m) && bus_change_names(m, AGENT_SERVICE_INTERFACE, service_property_is_told))
                hint_path(i, sd_bus_message_get_path(m));
        return 0;
}

void inventory_expect(Inventory *i, const char *slug)
{
        _cleanup_free_ char *path = NULL;
        Entry *e = NULL;
        int r;

        r = sd_bus_path_encode(AGENT_SERVICE_PATH, slug, &path);
        if (r >= 0)
                r = entry_get(i, path, &e);
        if (r < 0) {
                log_debug_errno(r, "Cannot wait for the service %s to appear", slug);
                return;
        }
        if (e->known || e->expected_until > 0)
                return;
        e->expected_until = now_usec(CLOCK_MONOTONIC) + EXPECT_USEC;
        if (!e->hinted && !e->call)
                hint(i, e, READ_DELAY_USEC);
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
        HASH_ITER(hh, i->entries, e, tmp) {
                /* The backend removes services that are missing from the list, and their results: wait for those
                 * that are about to appear. */
                if (is_expected(e))
                        return 0;
                if (e->info.slug && slug_is_valid(e->info.slug))
                        list[n++] = &e->info;
        }
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
        r = bus_owner_new(bus, AGENT_BUS_NAME, on_agent, i, &i->agent);
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
        bus_owner_free(i->agent);
        sd_bus_slot_unref(i->manager_match);
        sd_bus_slot_unref(i->properties_match);
        sd_event_source_disable_unref(i->timer);
        sd_event_source_disable_unref(i->read_timer);
        HASH_ITER(hh, i->entries, e, tmp)
                entry_free(i, e);
        sd_bus_unref(i->bus);
        free(i);
        return NULL;
}
