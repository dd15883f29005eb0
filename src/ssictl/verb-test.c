/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-json.h"
#include "ctl.h"
#include "shared/status.h"
#include "text.h"

/* Durations as always with --json: in milliseconds. */
static json_object *to_public_json(json_object *run)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o)
                return NULL;
        json_object_object_foreach(run, key, value)
        {
                char name[64];
                int r;

                if (endswith(key, "_usec") && json_object_is_type(value, json_type_int)) {
                        snprintf(name, sizeof(name), "%.*s_ms", (int) (strlen(key) - strlen("_usec")), key);
                        r = json_add_int64(o, name, json_object_get_int64(value) / (int64_t) USEC_PER_MSEC);
                } else
                        r = json_add_take(o, key, json_object_get(value));
                if (r < 0)
                        return NULL;
        }
        return TAKE_PTR(o);
}

static int print_json(const char *path, const char *status, const char *message, json_object *run)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "file", path) < 0 ||
            json_add_string(o, "status", isempty(status) ? NULL : status) < 0 ||
            json_add_string(o, "message", message) < 0 || json_add_take(o, "run", to_public_json(run)) < 0)
                return ctl_print_json(NULL);
        return ctl_print_json(TAKE_PTR(o));
}

static void print_output(json_object *lines)
{
        for (size_t i = 0; i < json_object_array_length(lines); i++) {
                const char *line = json_object_get_string(json_object_array_get_idx(lines, i));

                printf("    ");
                text_put_line(strempty(line), TEXT_WIDTH_MAX);
        }
}

/* Values that only newer agents send are shown as they are. */
static void print_detail(const char *key, json_object *value)
{
        _cleanup_free_ char *text = NULL;
        char duration[64];

        if (json_object_is_type(value, json_type_array)) {
                if (json_object_array_length(value) > 0)
                        printf("%12s:\n", key);
                print_output(value);
                return;
        }
        if (!value || (json_object_is_type(value, json_type_boolean) && !json_object_get_boolean(value)))
                return;
        if (endswith(key, "_usec") && json_object_is_type(value, json_type_int)) {
                printf("%12.*s: %s\n", (int) strlen(key) - 5, key,
                       ctl_duration(json_object_get_uint64(value), duration));
                return;
        }
        text = json_to_plain_text(value);
        if (!isempty(text))
                printf("%12s: %s\n", key, text);
}

static void print_text(Ctl *c, const char *path, const char *status, const char *message, json_object *run)
{
        const char *state = isempty(status) ? "error" : status;

        printf("%s: %s%s%s%s", path, ctl_color(c, state), isempty(status) ? "execution error" : status,
               ctl_color_end(c), isempty(message) ? "" : ", ");
        text_put_line(message, TEXT_WIDTH_MAX);
        json_object_object_foreach(run, key, value) print_detail(key, value);
}

static int test_one(Ctl *c, const char *path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ json_object *run = NULL;
        const char *status, *message;
        Status s;
        int r;

        r = ctl_new_script_call(c, path, "TestScript", &m);
        if (r < 0)
                return r;
        ctl_open_polkit_agent(c);
        /* A script may take a while. The agent ends it at its timeout. */
        r = ctl_call_patiently(c, m, &error, &reply);
        if (r < 0)
                return ctl_bus_error(&error, r);
        r = sd_bus_message_read(reply, "ss", &status, &message);
        if (r >= 0)
                r = bus_read_json_dictionary(reply, &run);
        if (r < 0) {
                ctl_say_error("Cannot read the agent's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        if (c->json) {
                r = print_json(path, status, message, run);
                if (r < 0)
                        return r;
        } else
                print_text(c, path, status, message, run);
        s = status_from_string(status);
        return s == STATUS_OK || s == STATUS_UPDATE ? CTL_EXIT_OK : CTL_EXIT_NOT_OK;
}

int verb_test(Ctl *c, int argc, char *argv[])
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                int r = test_one(c, argv[i]);

                if (r < 0)
                        return r;
                result = MAX(result, r);
        }
        return result;
}
