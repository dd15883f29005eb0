/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "loaded-unit.h"
#include "shared/util.h"
#include "systemd-client.h"
#include "unit-dropin.h"

#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

struct LoadedUnit {
        char *unit;
        SystemdQuery *query;
        char *why;
        bool stale;
        loaded_unit_done_t done;
        void *userdata;
};

LoadedUnit *loaded_unit_free(LoadedUnit *l)
{
        if (!l)
                return NULL;
        systemd_query_free(l->query);
        free(l->unit);
        free(l->why);
        free(l);
        return NULL;
}
DEFINE_CLEANUP(LoadedUnit *, loaded_unit_free);

static int read_fragment(LoadedUnit *l, sd_bus_message *m)
{
        const char *path, *name;
        int r;

        r = sd_bus_message_read(m, "v", "s", &path);
        if (r < 0 || isempty(path) || l->why)
                return r;
        name = startswith(path, SSI_UNIT_DIR "/");
        if (name && streq(name, l->unit))
                return 0;
        return asprintf(&l->why, "systemd has loaded %s as %s", path, l->unit) < 0 ? -ENOMEM : 0;
}

static int read_dropins(LoadedUnit *l, sd_bus_message *m)
{
        const char *path;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &path)) > 0)
                if (!l->why)
                        r = unit_dropin_widens(path, &l->why);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_properties(LoadedUnit *l, sd_bus_message *m)
{
        int r, stale = false;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                if (streq(name, "FragmentPath"))
                        r = read_fragment(l, m);
                else if (streq(name, "DropInPaths"))
                        r = read_dropins(l, m);
                else if (streq(name, "NeedDaemonReload"))
                        r = sd_bus_message_read(m, "v", "b", &stale);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        l->stale = stale;
        return r;
}

static int on_properties(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(loaded_unit_freep) LoadedUnit *l = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        int r;

        l->query = systemd_query_free(l->query);
        r = e ? 0 : read_properties(l, reply);
        if (r < 0) {
                sd_bus_error_set_errno(&error, r);
                e = &error;
        }
        l->done(e, e ? NULL : l->why, l->stale, l->userdata);
        return 0;
}

int loaded_unit_look(sd_bus *bus, SystemdQueries *q, const char *unit, loaded_unit_done_t done, void *userdata,
                     LoadedUnit **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(loaded_unit_freep) LoadedUnit *l = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->done = done;
        l->userdata = userdata;
        l->unit = strdup(unit);
        if (!l->unit)
                return -ENOMEM;
        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, unit, &path);
        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, &call, "org.freedesktop.systemd1", path,
                                                   "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", UNIT_INTERFACE);
        if (r >= 0)
                r = systemd_query_new(q, call, on_properties, l, &l->query);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}
