/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"
#include "service-info.h"

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

int ctl_new_script_call(Ctl *c, const char *path, const char *member, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *content = NULL;
        int r;

        r = ctl_read_script(path, &content);
        if (r < 0)
                return r;
        r = ctl_new_call(c, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, member);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", base_name(path), content);
        if (r < 0) {
                ctl_say_error("Cannot send %s: %s", path, strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        *ret = TAKE_PTR(m);
        return 0;
}

static int print_added_json(const ServiceInfo *i, const char *change)
{
        _cleanup_json_ json_object *o = service_info_to_json(i);

        if (!o || json_add_string(o, "change", change) < 0)
                return ctl_print_json(NULL);
        return ctl_print_json(TAKE_PTR(o));
}

static int print_added(Ctl *c, const char *path, const char *change)
{
        ServiceInfo i = {};
        char in[64];
        int r;

        r = ctl_get_service_info(c, path, &i);
        if (r < 0)
                return r;
        if (c->json) {
                r = print_added_json(&i, change);
                service_info_done(&i);
                return r;
        }
        printf("%s %s (%s, version %s)",
               streq(change, "unchanged") ? "Unchanged:" :
               streq(change, "replaced")  ? "Replaced" :
                                            "Added",
               i.name,
               i.title,
               strempty(json_get_string(i.metadata, "version")));
        if (i.next_run > 0)
                printf(", next run %s", service_info_next(&i, in));
        printf(".\n");
        service_info_done(&i);
        return 0;
}

static int add_one(Ctl *c, const char *path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *object, *change;
        int r;

        r = ctl_new_script_call(c, path, "AddService", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "a{sv}", 2, "replace", "b", c->replace, "run", "b", c->run);
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        r = ctl_call_authorized(c, m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &object);
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        /* An older agent does not tell. */
        if (sd_bus_message_read(reply, "s", &change) <= 0)
                change = "added";
        return print_added(c, object, change);
}

int verb_add(Ctl *c, int argc, char *argv[])
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                int r = add_one(c, argv[i]);

                result = r < 0 && result == 0 ? r : result;
        }
        return result;
}

static int remove_one(Ctl *c, const char *name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *sentence = NULL;
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, "RemoveService");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "s", name) < 0) {
                ctl_say_error("\"%s\" is not a valid service name.", name);
                return -CTL_EXIT_NO_SERVICE;
        }
        r = ctl_call_authorized(c, m, NULL);
        if (r < 0)
                return r;
        if (asprintf(&sentence, "Removed %s.", name) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, "removed", name, sentence);
}

int verb_remove(Ctl *c, int argc, char *argv[])
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                int r = remove_one(c, argv[i]);

                result = r < 0 && result == 0 ? r : result;
        }
        return result;
}
