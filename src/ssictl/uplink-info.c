/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uplink-info.h"

void uplink_info_done(UplinkInfo *i)
{
        free(i->server_url);
        free(i->agent_id);
        free(i->last_error);
        *i = (UplinkInfo){};
}

static int read_property(sd_bus_message *m, const char *name, UplinkInfo *i)
{
        const struct {
                const char *name, *type;
                void *field;
        } properties[] = {
                { "Connected", "b", &i->connected },
                { "ServerURL", "s", &i->server_url },
                { "AgentID", "s", &i->agent_id },
                { "LastError", "s", &i->last_error },
                { "LastAckUSec", "t", &i->last_ack },
                { "BacklogEntries", "t", &i->backlog },
                { "Sent", "t", &i->sent },
                { "Failed", "t", &i->failed },
                { "Reconnects", "t", &i->reconnects },
        };

        for (size_t k = 0; k < ELEMENTSOF(properties); k++) {
                const char *s;
                int r;

                if (!streq(properties[k].name, name))
                        continue;
                if (!streq(properties[k].type, "s"))
                        return sd_bus_message_read(m, "v", properties[k].type, properties[k].field);
                r = sd_bus_message_read(m, "v", "s", &s);
                return r < 0 ? r : free_and_strdup(properties[k].field, s);
        }
        return sd_bus_message_skip(m, "v");
}

static int read_properties(sd_bus_message *m, UplinkInfo *i)
{
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0)
                if ((r = sd_bus_message_read(m, "s", &name)) < 0 || (r = read_property(m, name, i)) < 0 ||
                    (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        return r;
}

int uplink_info_get(Ctl *c, bool start, UplinkInfo *ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        UplinkInfo i = {};
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, UPLINK_BUS_NAME, UPLINK_PATH, "org.freedesktop.DBus.Properties",
                                           "GetAll");
        if (r < 0)
                return r;
        (void) sd_bus_message_set_auto_start(m, start);
        r = sd_bus_message_append(m, "s", UPLINK_INTERFACE);
        if (r < 0)
                return r;
        r = sd_bus_call(c->bus, m, 0, error, &reply);
        if (r < 0)
                return r;
        r = read_properties(reply, &i);
        if (r < 0) {
                uplink_info_done(&i);
                return r;
        }
        *ret = i;
        return 0;
}
