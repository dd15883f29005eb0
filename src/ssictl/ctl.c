/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>

#include "ctl.h"
#include "shared/metadata.h"
#include "shared/time-util.h"
#include "shared/io-util.h"

void ctl_say_error(const char *format, ...)
{
        va_list ap;

        fputs("ssictl: ", stderr);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
}

int ctl_bus_error(const sd_bus_error *error, int r)
{
        static const struct {
                const char *name;
                int code;
        } codes[] = {
                { AGENT_ERROR_NO_SUCH_SERVICE, CTL_EXIT_NO_SERVICE },
                { SD_BUS_ERROR_ACCESS_DENIED, CTL_EXIT_DENIED },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CTL_EXIT_DENIED },
                { SD_BUS_ERROR_TIMEOUT, CTL_EXIT_TIMED_OUT },
                { AGENT_ERROR_TIMED_OUT, CTL_EXIT_TIMED_OUT },
        };

        if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
            sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                ctl_say_error(
                        "Cannot reach the agent. Is ssid installed and running? (systemctl status ssid ssi-uplinkd)");
        else if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD) ||
                 sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_INTERFACE))
                ctl_say_error(
                        "The agent is too old for this command; upgrade it (\"ssictl show --property=Version\" shows its "
                        "version): %s",
                        error->message);
        else if (sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT))
                ctl_say_error(
                        "The agent does not answer. If this persists, restart it. (systemctl status ssid ssi-uplinkd)");
        else
                ctl_say_error("%s", error && error->message ? error->message : strerror(-r));
        for (size_t i = 0; error && i < ELEMENTSOF(codes); i++)
                if (sd_bus_error_has_name(error, codes[i].name))
                        return -codes[i].code;
        return -CTL_EXIT_FAILURE;
}

static int say_unreachable(const Ctl *c, int r)
{
        if (c->host)
                ctl_say_error("Cannot reach the system bus of %s: %s. Does \"ssh %s true\" work, without a password?",
                              c->host, strerror(-r), c->host);
        else if (c->machine)
                ctl_say_error("Cannot reach the system bus of machine %s: %s. Does \"machinectl list\" show it?",
                              c->machine, strerror(-r));
        else
                ctl_say_error("Cannot connect to the system bus: %s. Is dbus.service running?", strerror(-r));
        return -CTL_EXIT_FAILURE;
}

/* ssh reports that it cannot connect only when the connection is used. */
static bool is_lost(int r)
{
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE;
}

int ctl_bus(Ctl *c)
{
        int r;

        if (c->bus)
                return 0;
        if (c->host)
                r = sd_bus_open_system_remote(&c->bus, c->host);
        else if (c->machine)
                r = sd_bus_open_system_machine(&c->bus, c->machine);
        else
                r = sd_bus_open_system(&c->bus);
        if (r < 0)
                return say_unreachable(c, r);
        (void) sd_bus_set_allow_interactive_authorization(c->bus, c->ask_password);
        return 0;
}

int ctl_new_call(Ctl *c, sd_bus_message **ret, const char *name, const char *path, const char *interface,
                 const char *member)
{
        int r;

        r = ctl_bus(c);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, ret, name, path, interface, member);
        if (r < 0) {
                ctl_say_error("Cannot make a D-Bus message: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return 0;
}

int ctl_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(c->bus, m, c->call_timeout, &error, ret_reply);
        if (is_lost(r) && c->host)
                return say_unreachable(c, r);
        return r < 0 ? ctl_bus_error(&error, r) : 0;
}

void ctl_open_polkit_agent(Ctl *c)
{
        /* Another host's polkit cannot ask on this terminal. */
        if (c->ask_password && !c->host && !c->machine)
                polkit_agent_open(&c->polkit_agent);
}

int ctl_call_authorized(Ctl *c, sd_bus_message *m, sd_bus_message **ret_reply)
{
        ctl_open_polkit_agent(c);
        return ctl_call(c, m, ret_reply);
}

int ctl_get_service(Ctl *c, const char *name, char **ret_path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *path;
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, "GetService");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", name);
        if (r < 0) {
                ctl_say_error("\"%s\" is not a valid service name.", name);
                return -CTL_EXIT_NO_SERVICE;
        }
        r = ctl_call(c, m, &reply);
        if (r < 0)
                return r;
        if (sd_bus_message_read(reply, "o", &path) < 0 || !(*ret_path = strdup(path)))
                return -CTL_EXIT_FAILURE;
        return 0;
}

int ctl_read_file(const char *path, size_t max, char **ret_content)
{
        _cleanup_free_ char *buffer = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        size_t n;
        int r;

        fd = streq(path, "-") ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                ctl_say_error("Cannot open %s: %s", path, strerror(errno));
                return -CTL_EXIT_FAILURE;
        }
        if (fstat(fd, &st) >= 0 && S_ISDIR(st.st_mode)) {
                ctl_say_error("%s is a folder; name a file.", path);
                return -CTL_EXIT_FAILURE;
        }
        r = read_at_most(fd, max + 1, &buffer, &n);
        if (r < 0) {
                ctl_say_error("Cannot read %s: %s", path, strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        if (n > max) {
                ctl_say_error("%s has more than %zu bytes.", path, max);
                return -CTL_EXIT_FAILURE;
        }
        if (strlen(buffer) != n || !utf8_is_valid(buffer, n)) {
                ctl_say_error("%s is not UTF-8 text.", path);
                return -CTL_EXIT_FAILURE;
        }
        *ret_content = TAKE_PTR(buffer);
        return 0;
}

int ctl_read_script(const char *path, char **ret_content)
{
        return ctl_read_file(path, SCRIPT_SIZE_MAX, ret_content);
}

const char *ctl_color(const Ctl *c, const char *status)
{
        static const struct {
                const char *status, *color;
        } colors[] = {
                { "OK", "\x1b[32m" },        { "UPDATE", "\x1b[34m" }, { "WARNING", "\x1b[33m" },
                { "FAILURE", "\x1b[1;31m" }, { "error", "\x1b[35m" },
        };

        for (size_t i = 0; c->color && i < ELEMENTSOF(colors); i++)
                if (streq(status, colors[i].status))
                        return colors[i].color;
        return "";
}

const char *ctl_color_end(const Ctl *c)
{
        return c->color ? "\x1b[0m" : "";
}

const char *ctl_bold(const Ctl *c)
{
        return c->color ? "\x1b[1m" : "";
}

int ctl_print_json(json_object *o_taken)
{
        _cleanup_json_ json_object *o = o_taken;

        if (!o) {
                ctl_say_error("Out of memory.");
                return -CTL_EXIT_FAILURE;
        }
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        return CTL_EXIT_OK;
}

int ctl_print_done(Ctl *c, const char *action, const char *what, const char *sentence)
{
        _cleanup_json_ json_object *o = NULL;

        if (!c->json) {
                puts(sentence);
                return CTL_EXIT_OK;
        }
        o = json_object_new_object();
        if (!o || json_add_string(o, "action", action) < 0 || json_add_string(o, "name", what) < 0)
                return ctl_print_json(NULL);
        return ctl_print_json(TAKE_PTR(o));
}

int ctl_confirm(const Ctl *c, const char *format, ...)
{
        _cleanup_free_ char *line = NULL;
        size_t n = 0;
        va_list ap;

        if (c->yes || !isatty(STDIN_FILENO))
                return 0;
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputs(" [y/N] ", stderr);
        if (getline(&line, &n, stdin) > 0) {
                line[strcspn(line, "\r\n")] = '\0';
                if (strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0)
                        return 0;
        }
        ctl_say_error("Nothing was changed.");
        return -CTL_EXIT_FAILURE;
}

static void format_span(uint64_t seconds, char *buf, size_t n)
{
        if (seconds < 60)
                snprintf(buf, n, "%us", (unsigned) seconds);
        else if (seconds < 3600)
                snprintf(buf, n, "%umin", (unsigned) (seconds / 60));
        else if (seconds < 48 * 3600)
                snprintf(buf, n, "%uh", (unsigned) (seconds / 3600));
        else
                snprintf(buf, n, "%ud", (unsigned) (seconds / 86400));
}

char *ctl_relative_time(uint64_t usec, char buf[static 64])
{
        uint64_t now = now_usec(CLOCK_REALTIME);
        char span[32];

        if (usec == 0 || usec == USEC_INFINITY)
                return strcpy(buf, "-");
        format_span((usec > now ? usec - now : now - usec) / USEC_PER_SEC, span, sizeof(span));
        snprintf(buf, 64, usec > now ? "in %s" : "%s ago", span);
        return buf;
}

char *ctl_local_time(uint64_t usec, char buf[static 64])
{
        time_t t = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;

        if (usec == 0 || usec == USEC_INFINITY)
                return strcpy(buf, "-");
        localtime_r(&t, &tm);
        strftime(buf, 64, "%a %Y-%m-%d %H:%M:%S %Z", &tm);
        return buf;
}

char *ctl_duration(uint64_t usec, char buf[static 64])
{
        if (usec == USEC_INFINITY)
                return strcpy(buf, "-");
        if (usec < USEC_PER_SEC)
                snprintf(buf, 64, "%ums", (unsigned) (usec / USEC_PER_MSEC));
        else if (usec >= 120 * USEC_PER_SEC)
                format_span(usec / USEC_PER_SEC, buf, 64);
        else if (usec % USEC_PER_SEC < 100 * USEC_PER_MSEC)
                snprintf(buf, 64, "%us", (unsigned) (usec / USEC_PER_SEC));
        else
                snprintf(buf, 64, "%.1fs", (double) usec / (double) USEC_PER_SEC);
        return buf;
}
