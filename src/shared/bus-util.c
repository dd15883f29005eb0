/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "shared/bus-util.h"

#define QUOTE_MAX 64

char *bus_quote(const char *s)
{
        _cleanup_free_ char *text = NULL;
        bool cut = false;
        char *quoted;

        text = utf8_sanitize(s, strlen(s), QUOTE_MAX, &cut);
        if (!text)
                return NULL;
        return asprintf(&quoted, "\"%s%s\"", text, cut ? "…" : "") < 0 ? NULL : quoted;
}

int bus_read_failed(const char *what, int r, sd_bus_error *error)
{
        if (r == -ENOMEM)
                return r;
        return sd_bus_error_setf(error, AGENT_ERROR_READ_FAILED,
                                 "Cannot read %s: %s. Try again; \"journalctl -u ssid\" may say why.", what,
                                 strerror(-r));
}

int bus_begin(sd_bus_message *m, const char *action, PolkitRegistry *polkit, sd_bus_error *error, const char *types,
              ...)
{
        va_list ap;
        int r = 0;

        if (!isempty(types)) {
                va_start(ap, types);
                r = sd_bus_message_readv(m, types, ap);
                va_end(ap);
        }
        if (r >= 0)
                r = bus_verify_polkit_async(m, action, polkit, error);
        /* 0: polkit was asked, and the handler is called again. */
        return r < 0 ? r : r == 0;
}

static int refuse_option(const char *name, const char *what, const char *error_name, sd_bus_error *error)
{
        _cleanup_free_ char *quoted = bus_quote(name);

        if (!quoted)
                return -ENOMEM;
        return sd_bus_error_setf(error, error_name, "Option %s %s.", quoted, what);
}

int bus_read_options(sd_bus_message *m, int (*read)(sd_bus_message *m, const char *name, void *userdata),
                     void *userdata, const char *error_name, sd_bus_error *error)
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
                        return refuse_option(name, "is not known here; leave it out", error_name, error);
                if (r == -ENXIO)
                        return refuse_option(name, "has a value of the wrong type; see the interface's manual page",
                                             error_name, error);
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
        return sd_bus_request_name_async(bus, NULL, name, SD_BUS_NAME_QUEUE, NULL, NULL);
}

bool bus_change_names(sd_bus_message *m, const char *interface, bool (*wanted)(const char *property))
{
        const char *changed, *name;
        int r;

        r = sd_bus_message_read(m, "s", &changed);
        if (r < 0 || !streq(changed, interface))
                return false;
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0 && wanted(name))
                        return true;
                if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return false;
}

int bus_answer(sd_bus_message *m, const char *name, const char *format, va_list ap)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (!name)
                return sd_bus_reply_method_return(m, NULL);
        (void) sd_bus_error_setfv(&error, name, format, ap);
        return sd_bus_reply_method_error(m, &error);
}
