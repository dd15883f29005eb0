/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>
#include <utlist.h>

#include "shared/bus-owner.h"
#include "depend.h"
#include "shared/log.h"
#include "service.h"
#include "shared/metadata.h"
#include "systemd-client.h"
#include "systemd-query.h"
#include "watch.h"

#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

#define SETTLE_USEC   (50 * USEC_PER_MSEC)
#define INTERVAL_USEC USEC_PER_SEC

struct Watch {
        Agent *agent;
        char *unit;
        char *path;       /* of the unit's object; if the name is an alias, of the real unit's */
        char *state;      /* NULL until known */
        uint64_t entered; /* when the unit last changed its state, on the monotonic clock; 0 if it is not loaded */
        SystemdQuery *query;
        bool again; /* something changed after the query was sent */
        bool wanted;
        struct Watch *prev, *next;
};

static Watch *watch_free(Watch *w)
{
        if (!w)
                return NULL;
        systemd_query_free(w->query);
        free(w->unit);
        free(w->path);
        free(w->state);
        free(w);
        return NULL;
}
DEFINE_CLEANUP(Watch *, watch_free);

static uint64_t now_monotonic(Agent *a)
{
        uint64_t usec;

        return sd_event_now(a->event, CLOCK_MONOTONIC, &usec) < 0 ? 0 : usec;
}

/* ---- Triggering ---- */

static int on_triggered(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        Service *s = userdata;

        s->trigger_query = systemd_query_free(s->trigger_query);
        if (e)
                log_warning("Cannot start %s after a change of a unit that it watches: %s", s->unit, e->message);
        return 0;
}

static int start_unit(Service *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = systemd_new_call(s->agent->bus, "StartUnit", &call);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "ss", s->unit, "replace");
        if (r < 0)
                return r;
        return systemd_query_new(s->agent->queries, call, on_triggered, s, &s->trigger_query);
}

static int on_own_state(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const char *state = "inactive";
        Service *s = userdata;
        int r;

        s->trigger_query = systemd_query_free(s->trigger_query);
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void) sd_bus_message_read(reply, "v", "s", &state);
        if (streq(state, "activating") || streq(state, "deactivating")) {
                s->trigger_again = true;
                return 0;
        }
        r = start_unit(s);
        if (r < 0)
                log_warning_errno(r, "Cannot start %s after a change of a unit that it watches", s->unit);
        return 0;
}

static int on_trigger(sd_event_source *source, uint64_t usec, void *userdata)
{
        Service *s = userdata;
        int r;

        if (!s->enabled)
                return 0;
        s->triggered = now_monotonic(s->agent);
        s->trigger_again = false;
        s->trigger_query = systemd_query_free(s->trigger_query);
        r = systemd_query_unit_property(s->agent->queries, s->unit, UNIT_INTERFACE, "ActiveState", on_own_state, s,
                                        &s->trigger_query);
        if (r < 0)
                log_warning_errno(r, "Cannot ask for the state of %s", s->unit);
        return 0;
}

static int trigger(Service *s)
{
        uint64_t now = now_monotonic(s->agent), at = now + SETTLE_USEC;
        int r, enabled = SD_EVENT_OFF;

        if (s->triggered > 0)
                at = MAX(at, s->triggered + INTERVAL_USEC);
        if (!s->trigger)
                return sd_event_add_time(s->agent->event, &s->trigger, CLOCK_MONOTONIC, at, 1, on_trigger, s);
        r = sd_event_source_get_enabled(s->trigger, &enabled);
        if (r < 0 || enabled != SD_EVENT_OFF)
                return r;
        r = sd_event_source_set_time(s->trigger, at);
        return r < 0 ? r : sd_event_source_set_enabled(s->trigger, SD_EVENT_ONESHOT);
}

int watches_run_ended(Service *s)
{
        if (!s->trigger_again)
                return 0;
        s->trigger_again = false;
        return trigger(s);
}

static bool service_watches(const Service *s, const char *unit)
{
        const char *list = s->watches, *word;
        size_t n;

        while ((n = metadata_next_word(&list, &word)) > 0)
                if (strlen(unit) == n && memcmp(unit, word, n) == 0)
                        return true;
        return false;
}

/* ---- Answers from systemd ---- */

static int set_state(Watch *w, const char *state, uint64_t entered)
{
        bool known = w->state, moved = entered > w->entered;
        Service *s, *tmp;
        int r;

        w->entered = MAX(w->entered, entered);
        r = free_and_strdup(&w->state, state);
        if (r < 0 || !known || (r == 0 && !moved))
                return r;
        log_debug("%s is %s.", w->unit, state);
        HASH_ITER(hh, w->agent->services, s, tmp) {
                if (!service_watches(s, w->unit))
                        continue;
                r = trigger(s);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int query_state(Watch *w);

/* When we query it, a restarted unit may be in the same state as before: the timestamps of its states reveal the
 * restart. */
static bool is_entry(const char *property)
{
        return streq(property, "InactiveEnterTimestampMonotonic") ||
               streq(property, "InactiveExitTimestampMonotonic") || streq(property, "ActiveEnterTimestampMonotonic") ||
               streq(property, "ActiveExitTimestampMonotonic");
}

static int read_state(sd_bus_message *reply, const char **ret_state, uint64_t *ret_entered)
{
        uint64_t entered = 0, usec;
        const char *name;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                r = sd_bus_message_read(reply, "s", &name);
                if (r < 0)
                        return r;
                if (streq(name, "ActiveState"))
                        r = sd_bus_message_read(reply, "v", "s", ret_state);
                else if (is_entry(name)) {
                        r = sd_bus_message_read(reply, "v", "t", &usec);
                        if (r >= 0)
                                entered = MAX(entered, usec);
                } else
                        r = sd_bus_message_skip(reply, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r >= 0)
                *ret_entered = entered;
        return r;
}

static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const char *state = "inactive";
        uint64_t entered = 0;
        Watch *w = userdata;
        int r = 0;

        w->query = systemd_query_free(w->query);
        if (!sd_bus_message_is_method_error(reply, NULL))
                r = read_state(reply, &state, &entered);
        if (r >= 0)
                r = set_state(w, state, entered);
        if (r >= 0 && w->again)
                r = query_state(w);
        if (r < 0)
                log_warning_errno(r, "Cannot follow the state of %s", w->unit);
        return 0;
}

static int query_state(Watch *w)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        w->again = w->query;
        if (w->query)
                return 0;
        r = sd_bus_message_new_method_call(w->agent->bus, &call, "org.freedesktop.systemd1", w->path,
                                           "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", UNIT_INTERFACE);
        return r < 0 ? r : systemd_query_new(w->agent->queries, call, on_state, w, &w->query);
}

static int on_unit_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *path = sd_bus_message_get_path(message);
        Agent *a = userdata;
        Watch *w;
        int r;

        if (!bus_owner_sent(a->systemd, message))
                return 0;
        DL_FOREACH(a->watches, w) {
                if (!streq(w->path, path))
                        continue;
                r = query_state(w);
                if (r < 0)
                        log_warning_errno(r, "Cannot follow the state of %s", w->unit);
        }
        return 0;
}

int watches_look(Agent *a)
{
        Watch *w;
        int r = 0;

        DL_FOREACH(a->watches, w)
                if (r >= 0)
                        r = query_state(w);
        return r;
}

/* An alias leads to the real unit, the only one that sends signals. */
static int on_loaded(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const char *path;
        Watch *w = userdata;
        int r = 0;

        w->query = systemd_query_free(w->query);
        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "o", &path) >= 0)
                r = free_and_strdup(&w->path, path);
        if (r >= 0)
                r = query_state(w);
        if (r < 0)
                log_warning_errno(r, "Cannot ask for the state of %s", w->unit);
        return 0;
}

static int on_match(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(message);

        if (e)
                log_warning("Cannot watch units: %s", e->message);
        return 0;
}

/* ---- Which units ---- */

static int load(Watch *w)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = systemd_new_call(w->agent->bus, "LoadUnit", &call);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "s", w->unit);
        if (r < 0)
                return r;
        return systemd_query_new(w->agent->queries, call, on_loaded, w, &w->query);
}

static int want(Agent *a, const char *word, size_t n)
{
        _cleanup_(watch_freep) Watch *w = NULL;
        Watch *i;
        int r;

        DL_FOREACH(a->watches, i)
                if (strlen(i->unit) == n && memcmp(i->unit, word, n) == 0) {
                        i->wanted = true;
                        return 0;
                }
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->agent = a;
        w->wanted = true;
        w->unit = strndup(word, n);
        if (!w->unit)
                return -ENOMEM;
        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, w->unit, &w->path);
        if (r < 0)
                return r;
        r = load(w);
        if (r < 0)
                return r;
        DL_APPEND(a->watches, w);
        TAKE_PTR(w);
        return 0;
}

static int listen(Agent *a)
{
        if (!a->watches) {
                a->watches_slot = sd_bus_slot_unref(a->watches_slot);
                return 0;
        }
        if (a->watches_slot)
                return 0;
        return sd_bus_add_match_async(
                a->bus, &a->watches_slot,
                "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',"
                "member='PropertiesChanged',path_namespace='" SYSTEMD_UNIT_PATH "',arg0='" UNIT_INTERFACE "'",
                on_unit_changed, on_match, a);
}

int watches_update(Agent *a)
{
        Service *s, *stmp;
        Watch *w, *wtmp;
        int r;

        DL_FOREACH(a->watches, w)
                w->wanted = false;
        HASH_ITER(hh, a->services, s, stmp) {
                const char *list = s->watches, *word;
                size_t n;

                /* A header that was edited by hand may contain anything. */
                for (unsigned i = 0; i < METADATA_WATCHES_MAX && (n = metadata_next_word(&list, &word)) > 0; i++) {
                        r = want(a, word, n);
                        if (r < 0)
                                return r;
                }
        }
        DL_FOREACH_SAFE(a->watches, w, wtmp)
                if (!w->wanted) {
                        DL_DELETE(a->watches, w);
                        watch_free(w);
                }
        r = listen(a);
        return r < 0 ? r : dependencies_update(a);
}

void watches_free(Agent *a)
{
        Watch *w, *tmp;

        DL_FOREACH_SAFE(a->watches, w, tmp) {
                DL_DELETE(a->watches, w);
                watch_free(w);
        }
        a->watches_slot = sd_bus_slot_unref(a->watches_slot);
}
