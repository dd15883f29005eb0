/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-json.h"
#include "server-call.h"
#include "shared/status-line.h"
#include "text.h"

/* ---- Calls ---- */

int server_new_call(Ctl *c, const char *member, sd_bus_message **ret)
{
        return ctl_new_call(c, ret, SERVER_BUS_NAME, SERVER_PATH, SERVER_INTERFACE, member);
}

int server_bus_error(const sd_bus_error *error, int r)
{
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
            sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
            sd_bus_error_has_name(error, "org.freedesktop.systemd1.NoSuchUnit")) {
                ctl_say_error("No backend runs on this host. Enable and start it first:\n"
                              "systemctl enable --now ssi-serverd.socket ssi-serverd.service");
                return -CTL_EXIT_FAILURE;
        }
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT)) {
                ctl_say_error(
                        "The backend does not answer. If this persists, restart it. (systemctl status ssi-serverd)");
                return -CTL_EXIT_TIMED_OUT;
        }
        r = ctl_bus_error(error, r);
        if (sd_bus_error_has_name(error, SERVER_ERROR_PREFIX "NoSuchUser") ||
            sd_bus_error_has_name(error, SERVER_ERROR_PREFIX "NoSuchServer") ||
            sd_bus_error_has_name(error, SERVER_ERROR_PREFIX "NoSuchInvitation") ||
            sd_bus_error_has_name(error, SERVER_ERROR_PREFIX "NoSuchToken") ||
            sd_bus_error_has_name(error, SERVER_ERROR_PREFIX "NoSuchAnnouncement") ||
            sd_bus_error_has_name(error, SERVER_ERROR_PREFIX "NoSuchHost"))
                return -CTL_EXIT_NO_SERVICE;
        return r;
}

int server_call(Ctl *c, sd_bus_message *m, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        ctl_open_polkit_agent(c);
        r = sd_bus_call(c->bus, m, c->call_timeout, &error, ret_reply);
        return r < 0 ? server_bus_error(&error, r) : 0;
}

int server_call_strings(Ctl *c, const char *member, size_t n, const char *const *args, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = server_new_call(c, member, &m);
        if (r < 0)
                return r;
        (void) sd_bus_message_sensitive(m);
        for (size_t i = 0; i < n; i++)
                if (sd_bus_message_append(m, "s", args[i]) < 0) {
                        ctl_say_error("The arguments are not valid UTF-8.");
                        return -CTL_EXIT_FAILURE;
                }
        if (sd_bus_message_append(m, "a{sv}", 0) < 0)
                return -CTL_EXIT_FAILURE;
        return server_call(c, m, ret_reply);
}

int server_get_properties(Ctl *c, json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = ctl_new_call(c, &m, SERVER_BUS_NAME, SERVER_PATH, "org.freedesktop.DBus.Properties", "GetAll");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "s", SERVER_INTERFACE) < 0)
                return -CTL_EXIT_FAILURE;
        r = server_call(c, m, &reply);
        if (r < 0)
                return r;
        r = bus_read_json_dictionary(reply, ret);
        if (r < 0) {
                ctl_say_error("Cannot read the backend's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return 0;
}

/* ---- Lists ---- */

/* Names the fields of a row. */
static int to_object(json_object *fields, const char *const *members, size_t n, json_object **ret)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o)
                return -ENOMEM;
        if (!json_object_is_type(fields, json_type_array) || json_object_array_length(fields) != n)
                return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
                json_object *value = json_object_get(json_object_array_get_idx(fields, i));

                /* Not json_add_take(), because a value may be null here. */
                if (json_object_object_add(o, members[i], value) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }
        *ret = TAKE_PTR(o);
        return 0;
}

int server_read_rows(sd_bus_message *reply, const char *const *members, size_t n, json_object **ret)
{
        _cleanup_json_ json_object *rows = NULL;
        int r;

        r = bus_read_json(reply, &rows);
        if (r >= 0 && !json_object_is_type(rows, json_type_array))
                r = -EBADMSG;
        for (size_t i = 0; members && r >= 0 && i < json_object_array_length(rows); i++) {
                json_object *o = NULL;

                r = to_object(json_object_array_get_idx(rows, i), members, n, &o);
                if (r >= 0 && json_object_array_put_idx(rows, i, o) < 0) {
                        json_object_put(o);
                        r = -ENOMEM;
                }
        }
        if (r < 0) {
                ctl_say_error("Cannot read the backend's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        *ret = TAKE_PTR(rows);
        return 0;
}

int server_print_list(Ctl *c, const ServerList *l, size_t n, const char *const *args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = NULL;
        int r;

        r = server_call_strings(c, l->method, n, args, &reply);
        if (r >= 0)
                r = server_read_rows(reply, l->members, l->n_members, &rows);
        if (r < 0)
                return r;
        for (size_t i = 0; l->adapt && i < json_object_array_length(rows); i++)
                if (l->adapt(c, json_object_array_get_idx(rows, i)) < 0)
                        return ctl_print_json(NULL);
        return server_print_table(c, TAKE_PTR(rows), l->columns, l->n_columns, l->sentence);
}

/* ---- Tables ---- */

static bool is_time(const char *member)
{
        return endswith(member, "_usec") != NULL;
}

/* Formats times as always with --json: RFC 3339 or null, without "_usec" in the name. */
static int to_public_json(json_object *rows)
{
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                _cleanup_json_ json_object *o = json_object_new_object();

                if (!o)
                        return -ENOMEM;
                json_object_object_foreach(json_object_array_get_idx(rows, i), key, value)
                {
                        char name[64], buf[RFC3339_MAX];
                        uint64_t usec;
                        int r;

                        snprintf(name, sizeof(name), "%s", key);
                        if (is_time(key))
                                name[strlen(name) - strlen("_usec")] = '\0';
                        usec = is_time(key) ? (uint64_t) json_object_get_int64(value) : 0;
                        if (is_time(key))
                                r = json_add_string(o, name, usec > 0 ? format_rfc3339(usec, buf) : NULL);
                        else
                                r = value ? json_add_take(o, name, json_object_get(value)) :
                                            json_add_string(o, name, NULL);
                        if (r < 0)
                                return r;
                }
                if (json_object_array_put_idx(rows, i, TAKE_PTR(o)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* The content of the cell; the caller frees it. */
static char *cell(json_object *row, const char *member)
{
        json_object *value = NULL;
        char buf[64];

        if (!json_object_object_get_ex(row, member, &value))
                return strdup("");
        if (is_time(member))
                return strdup(ctl_relative_time((uint64_t) json_object_get_int64(value), buf));
        return json_to_plain_text(value);
}

int server_print_table(Ctl *c, json_object *rows_taken, const ServerColumn *columns, size_t n, const char *sentence)
{
        _cleanup_json_ json_object *rows = rows_taken;
        unsigned widths[8] = {};
        size_t n_rows = json_object_array_length(rows);

        if (c->json)
                return to_public_json(rows) < 0 ? ctl_print_json(NULL) : ctl_print_json(TAKE_PTR(rows));
        if (n_rows == 0) {
                puts(sentence);
                return CTL_EXIT_OK;
        }
        for (size_t k = 0; k < n; k++) {
                widths[k] = text_width(columns[k].title);
                for (size_t i = 0; i < n_rows; i++) {
                        _cleanup_free_ char *s = cell(json_object_array_get_idx(rows, i), columns[k].member);

                        widths[k] = MAX(widths[k], text_width(strempty(s)));
                }
        }
        fputs(ctl_bold(c), stdout);
        for (size_t k = 0; k < n; k++)
                printf("%-*s%s", k + 1 < n ? (int) widths[k] : 0, columns[k].title, k + 1 < n ? " " : "");
        printf("%s\n", ctl_color_end(c));
        for (size_t i = 0; i < n_rows; i++)
                for (size_t k = 0; k < n; k++) {
                        _cleanup_free_ char *s = cell(json_object_array_get_idx(rows, i), columns[k].member);

                        text_put(strempty(s), k + 1 < n ? widths[k] : 0);
                        putchar(k + 1 < n ? ' ' : '\n');
                }
        return CTL_EXIT_OK;
}
