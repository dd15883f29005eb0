/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-owner.h"
#include "shared/log.h"

#define BUS_NAME      "org.freedesktop.DBus"
#define BUS_PATH      "/org/freedesktop/DBus"
#define BUS_INTERFACE "org.freedesktop.DBus"

struct BusOwner {
        char *name;
        char *owner; /* NULL: none, or not known yet */
        bool known;
        bus_owner_changed_t changed;
        void *userdata;
        sd_bus_slot *match, *call;
};

/* May free the BusOwner. */
static void set_owner(BusOwner *o, const char *owner)
{
        bool first = !o->known;
        int r;

        o->known = true;
        r = free_and_strdup(&o->owner, isempty(owner) ? NULL : owner);
        if (r < 0) {
                log_warning_errno(r, "Cannot store the owner of %s", o->name);
                free(TAKE_PTR(o->owner));
        }
        if ((r != 0 || first) && o->changed)
                o->changed(o->owner, o->userdata);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *owner;
        BusOwner *o = userdata;

        if (bus_itself_sent(m) && sd_bus_message_read(m, "sss", &name, NULL, &owner) >= 0 && streq(name, o->name))
                set_owner(o, owner);
        return 0;
}

static int on_owner(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        BusOwner *o = userdata;
        const char *owner = NULL;

        o->call = sd_bus_slot_unref(o->call);
        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "s", &owner) < 0)
                owner = NULL;
        set_owner(o, owner);
        return 0;
}

int bus_owner_new(sd_bus *bus, const char *name, bus_owner_changed_t changed, void *userdata, BusOwner **ret)
{
        _cleanup_(bus_owner_freep) BusOwner *o = NULL;
        _cleanup_free_ char *match = NULL;
        int r;

        if (!name)
                return -EBADMSG;
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->changed = changed;
        o->userdata = userdata;
        o->name = strdup(name);
        if (!o->name)
                return -ENOMEM;
        /* A unique name is its own owner while the connection exists. */
        if (name[0] == ':' && !(o->owner = strdup(name)))
                return -ENOMEM;
        if (asprintf(&match,
                     "type='signal',sender='" BUS_NAME "',path='" BUS_PATH "',interface='" BUS_INTERFACE
                     "',member='NameOwnerChanged',arg0='%s'",
                     name) < 0) {
                match = NULL;
                return -ENOMEM;
        }
        /* In this order, so that no change is missed in between. */
        r = sd_bus_add_match_async(bus, &o->match, match, on_owner_changed, NULL, o);
        if (r < 0)
                return r;
        r = sd_bus_call_method_async(bus, &o->call, BUS_NAME, BUS_PATH, BUS_INTERFACE, "GetNameOwner", on_owner, o, "s",
                                     name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

BusOwner *bus_owner_free(BusOwner *o)
{
        if (!o)
                return NULL;
        sd_bus_slot_unref(o->match);
        sd_bus_slot_unref(o->call);
        free(o->name);
        free(o->owner);
        free(o);
        return NULL;
}

bool bus_owner_sent(const BusOwner *o, sd_bus_message *m)
{
        const char *sender = sd_bus_message_get_sender(m);

        return sender && o && streq_ptr(o->owner, sender);
}

bool bus_itself_sent(sd_bus_message *m)
{
        return streq_ptr(sd_bus_message_get_sender(m), BUS_NAME);
}
