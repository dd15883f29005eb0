/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operation-internal.h"
#include "privilege.h"

#define ADVICE "Have it done by somebody with that right, or remove the setting."

/* Before the first change the request is just refused; after it, what was done is undone. */
static void refuse(Operation *o, const char *why)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;

        if (o->changed) {
                (void) privilege_refuse(why, &e);
                operation_fail(o, &e, ADVICE);
        } else {
                (void) privilege_refuse(why, &o->error);
                operation_refuse(o);
        }
}

static void on_looked(const sd_bus_error *error, const char *why, bool stale, void *userdata)
{
        Operation *o = userdata;

        o->look = NULL;
        if (error)
                operation_fail_systemd(o, error);
        else if (stale && !o->look_reloaded) {
                o->look_reloaded = true;
                o->steps -= 2;
                operation_continue(o);
        } else if (why)
                refuse(o, why);
        else
                operation_continue(o);
}

int step_look(Operation *o)
{
        return o->privileged ? 1 : loaded_unit_look(o->agent->bus, o->agent->queries, o->unit, on_looked, o, &o->look);
}
