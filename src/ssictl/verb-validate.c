/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-json.h"
#include "problems.h"

/* Prints the answer, (b valid, a(uss) problems, a{sv} metadata), as {file, valid, problems, metadata}. */
static int print_json(sd_bus_message *reply, const char *path)
{
        _cleanup_json_ json_object *o = json_object_new_object(), *problems = NULL, *metadata = NULL;
        int valid, r;

        if (!o)
                return -ENOMEM;
        r = sd_bus_message_read(reply, "b", &valid);
        if (r >= 0)
                r = problems_to_json(reply, &problems);
        if (r < 0)
                return r;
        r = bus_read_json_dictionary(reply, &metadata);
        if (r < 0)
                return r;
        if (json_add_string(o, "file", path) < 0 || json_add_bool(o, "valid", valid) < 0 ||
            json_add_take(o, "problems", TAKE_PTR(problems)) < 0 ||
            json_add_take(o, "metadata", TAKE_PTR(metadata)) < 0)
                return -ENOMEM;
        r = ctl_print_json(TAKE_PTR(o));
        return r < 0 ? r : valid;
}

static int print_text(Ctl *c, sd_bus_message *reply, const char *path)
{
        int valid, r;

        r = sd_bus_message_read(reply, "b", &valid);
        if (r >= 0)
                r = problems_print(c, reply, path, stdout);
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
