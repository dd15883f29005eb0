/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service-info.h"

static int change_one(Ctl *c, const char *name, const char *member, const char *done)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL, *action = NULL, *sentence = NULL;
        int r;

        if ((r = ctl_get_service(c, name, &path)) < 0 ||
            (r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, AGENT_SERVICE_INTERFACE, member)) < 0 ||
            (r = ctl_call_authorized(c, m, NULL)) < 0)
                return r;
        if (asprintf(&sentence, "%s %s.", done, name) < 0 || !(action = strdup(done)))
                return -CTL_EXIT_FAILURE;
        action[0] |= 0x20; /* to lower case */
        return ctl_print_done(c, action, name, sentence);
}

/* Calls a method without arguments for each named service. */
static int for_each(Ctl *c, int argc, char *argv[], const char *member, const char *done)
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                int r = change_one(c, argv[i], member, done);

                result = r < 0 && result == 0 ? r : result;
        }
        return result;
}

int verb_enable(Ctl *c, int argc, char *argv[])
{
        return for_each(c, argc, argv, "Enable", "Enabled");
}

int verb_disable(Ctl *c, int argc, char *argv[])
{
        return for_each(c, argc, argv, "Disable", "Disabled");
}

static int print_script_json(const char *name, const char *content)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "name", name) < 0 || json_add_string(o, "content", content) < 0)
                return ctl_print_json(NULL);
        return ctl_print_json(TAKE_PTR(o));
}

int verb_cat(Ctl *c, int argc, char *argv[])
{
        for (int i = 0; i < argc; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
                _cleanup_free_ char *path = NULL;
                const char *content;
                int r;

                if ((r = ctl_get_service(c, argv[i], &path)) < 0 ||
                    (r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, AGENT_SERVICE_INTERFACE, "GetScript")) < 0 ||
                    (r = ctl_call(c, m, &reply)) < 0)
                        return r;
                if (sd_bus_message_read(reply, "s", &content) < 0)
                        return -CTL_EXIT_FAILURE;
                if (!c->json)
                        fputs(content, stdout);
                else if ((r = print_script_json(argv[i], content)) < 0)
                        return r;
        }
        return CTL_EXIT_OK;
}
