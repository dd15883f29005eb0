/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the programs on D-Bus: names of interfaces and errors, and short forms of sd-bus calls. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "shared/polkit.h"
#include "shared/util.h"

#define AGENT_BUS_NAME          "org.ssi.Agent1"
#define AGENT_PATH              "/org/ssi/Agent1"
#define AGENT_MANAGER_INTERFACE "org.ssi.Agent1.Manager"
#define AGENT_SERVICE_INTERFACE "org.ssi.Agent1.Service"
#define AGENT_SERVICE_PATH      "/org/ssi/Agent1/service"

#define UPLINK_BUS_NAME    "org.ssi.Uplink1"
#define UPLINK_PATH        "/org/ssi/Uplink1"
#define UPLINK_INTERFACE   "org.ssi.Uplink1"
#define UPLINK_ERROR(name) "org.ssi.Uplink1.Error." name

#define SERVER_BUS_NAME     "org.ssi.Server1"
#define SERVER_PATH         "/org/ssi/Server1"
#define SERVER_INTERFACE    "org.ssi.Server1"
#define SERVER_ERROR_PREFIX "org.ssi.Server1.Error."

#define SERVER_CA_BUS_NAME    "org.ssi.ServerCA1"
#define SERVER_CA_PATH        "/org/ssi/ServerCA1"
#define SERVER_CA_INTERFACE   "org.ssi.ServerCA1"
#define SERVER_CA_ERROR(name) "org.ssi.ServerCA1.Error." name

#define AGENT_ERROR_INVALID_SCRIPT    "org.ssi.Agent1.Error.InvalidScript"
#define AGENT_ERROR_INVALID_NAME      "org.ssi.Agent1.Error.InvalidName"
#define AGENT_ERROR_NO_SUCH_SERVICE   "org.ssi.Agent1.Error.NoSuchService"
#define AGENT_ERROR_ALREADY_EXISTS    "org.ssi.Agent1.Error.AlreadyExists"
#define AGENT_ERROR_TOO_LARGE         "org.ssi.Agent1.Error.TooLarge"
#define AGENT_ERROR_INVALID_OPTION    "org.ssi.Agent1.Error.InvalidOption"
#define AGENT_ERROR_INSTALL_FAILED    "org.ssi.Agent1.Error.InstallFailed"
#define AGENT_ERROR_REMOVE_FAILED     "org.ssi.Agent1.Error.RemoveFailed"
#define AGENT_ERROR_CHANGE_FAILED     "org.ssi.Agent1.Error.ChangeFailed"
#define AGENT_ERROR_TEST_FAILED       "org.ssi.Agent1.Error.TestFailed"
#define AGENT_ERROR_RUN_FAILED        "org.ssi.Agent1.Error.RunFailed"
#define AGENT_ERROR_TIMED_OUT         "org.ssi.Agent1.Error.TimedOut"
#define AGENT_ERROR_READ_FAILED       "org.ssi.Agent1.Error.ReadFailed"
#define AGENT_ERROR_VALIDATION_FAILED "org.ssi.Agent1.Error.ValidationFailed"

/* Makes a caller's text fit for an error message: at most 64 bytes of well-formed text on one line, in quotes. NULL
 * if out of memory. */
char *bus_quote(const char *s);

/* Sets error to ReadFailed for a negative errno, and returns a negative errno (-ENOMEM is returned as it is). */
int bus_read_failed(const char *what, int r, sd_bus_error *error);

/* Begins the handler of a privileged method: reads its arguments as sd_bus_message_read(3) does (types: "" for
 * none), and asks polkit. 0: go on. Otherwise the handler returns the result at once; if the call was refused, error
 * is set. */
int bus_begin(sd_bus_message *m, const char *action, PolkitRegistry *polkit, sd_bus_error *error, const char *types,
              ...);

/* The return value of a handler whose message is answered elsewhere, now or later. r < 0: an error, which the
 * handler itself returns. */
static inline int bus_answered_elsewhere(int r)
{
        return r < 0 ? r : 1;
}

/* Answers a call with the error of this name, or without name and result. */
int bus_answer(sd_bus_message *m, const char *name, const char *format, va_list ap) _printf_(3, 0);

/* The head of a property's getter. */
#define BUS_GETTER(name)                                                                            \
        static int name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)

/* Reads an a{sv} of options: calls read for each, with the message positioned at the variant. If read returns
 * -ENOENT (unknown name) or -ENXIO (wrong type), sets the error error_name. */
int bus_read_options(sd_bus_message *m, int (*read)(sd_bus_message *m, const char *name, void *userdata),
                     void *userdata, const char *error_name, sd_bus_error *error);

/* Opens the system bus for a daemon: attaches it to the event loop, exits when the bus goes away, and requests the
 * name (queued, so that during an upgrade the old instance can hand over to the new one). */
int bus_open_daemon(sd_event *event, sd_bus **ret);
int bus_request_name(sd_bus *bus, const char *name);

/* Whether a PropertiesChanged is about this interface and contains the value of a wanted property. */
bool bus_change_names(sd_bus_message *m, const char *interface, bool (*wanted)(const char *property));
