/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-json.h"
#include "ctl.h"

typedef struct Problem {
        unsigned line;
        const char *severity, *text;
} Problem;

static int add_problem(json_object *array, const Problem *p)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        int r;

        if (!o || json_add_int64(o, "line", p->line) < 0 || json_add_string(o, "severity", p->severity) < 0 ||
            json_add_string(o, "text", p->text) < 0)
                return -ENOMEM;
        r = json_object_array_add(array, o);
        if (r < 0)
                return -ENOMEM;
        TAKE_PTR(o);
        return 0;
}

/* The answer, (b valid, a(uss) problems, a{sv} metadata), as {file, valid, problems, metadata}. */
static int print_json(sd_bus_message *reply, const char *path)
{
        _cleanup_json_ json_object *o = json_object_new_object(), *problems = json_object_new_array(), *metadata = NULL;
        Problem p;
        int valid, r;

        if (!o || !problems)
                return -ENOMEM;
        r = sd_bus_message_read(reply, "b", &valid);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(uss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(uss)", &p.line, &p.severity, &p.text)) > 0)
                r = add_problem(problems, &p);
        if (r < 0 || (r = sd_bus_message_exit_container(reply)) < 0)
                return r;
        r = bus_read_json_dictionary(reply, &metadata);
        if (r < 0)
                return r;
        if (json_add_string(o, "file", path) < 0 || json_add_bool(o, "valid", valid) < 0 ||
            json_add_take(o, "problems", TAKE_PTR(problems)) < 0 || json_add_take(o, "metadata", TAKE_PTR(metadata)) < 0)
                return -ENOMEM;
        r = ctl_print_json(TAKE_PTR(o));
        return r < 0 ? r : valid;
}

static int print_text(Ctl *c, sd_bus_message *reply, const char *path)
{
        Problem p;
        int valid, r;

        r = sd_bus_message_read(reply, "b", &valid);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(uss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(uss)", &p.line, &p.severity, &p.text)) > 0)
                printf("%s:%u: %s%s%s: %s\n",
                       path,
                       p.line,
                       ctl_color(c, streq(p.severity, "error") ? "FAILURE" : "WARNING"),
                       p.severity,
                       ctl_color_end(c),
                       p.text);
        if (r < 0)
                return r;
        if (valid)
                printf("%s: is a valid service-script\n", path);
        return valid;
}

static int validate_one(Ctl *c, const char *path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = ctl_new_script_call(c, path, "ValidateScript", &m);
        if (r < 0)
                return r;
        r = ctl_call(c, m, &reply);
        if (r < 0)
                return r;
        r = c->json ? print_json(reply, path) : print_text(c, reply, path);
        if (r < 0)
                ctl_say_error("Cannot read the agent's answer: %s", strerror(-r));
        return r > 0 ? CTL_EXIT_OK : -CTL_EXIT_FAILURE;
}

int verb_validate(Ctl *c, int argc, char *argv[])
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                int r = validate_one(c, argv[i]);

                result = r < 0 && result == 0 ? r : result;
        }
        return result;
}
