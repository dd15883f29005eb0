#include "bus-util.h"

int bus_read_options(
        sd_bus_message *m,
        int (*read)(sd_bus_message *m, const char *name, void *userdata),
        void *userdata,
        const char *error_name,
        sd_bus_error *error)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read_basic(m, 's', &name);
                if (r < 0)
                        return r;
                r = read(m, name, userdata);
                if (r == -ENOENT)
                        return sd_bus_error_setf(error, error_name, "Unknown option \"%.64s\".", name);
                if (r == -ENXIO)
                        return sd_bus_error_setf(error, error_name, "Option \"%.64s\" has the wrong type.", name);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int bus_open_daemon(sd_event *event, sd_bus **ret)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_open_system(&bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        r = sd_bus_set_exit_on_disconnect(bus, true);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

int bus_request_name(sd_bus *bus, const char *name)
{
        return sd_bus_request_name_async(
                bus, NULL, name, SD_BUS_NAME_QUEUE, NULL, NULL);
}
