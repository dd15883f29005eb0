/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-json.h"
#include "ctl.h"
#include "text.h"

/* Whether s, a list separated by commas, contains the property. */
static bool names(const char *s, const char *property)
{
        size_t n = strlen(property);

        while (*s) {
                size_t k = strcspn(s, ",");

                if (k == n && strncmp(s, property, n) == 0)
                        return true;
                s += k + (s[k] == ',');
        }
        return false;
}

static bool is_wanted(const Ctl *c, const char *property)
{
        for (size_t i = 0; i < c->n_properties; i++)
                if (names(c->properties[i], property))
                        return true;
        return c->n_properties == 0;
}

static int get_all(Ctl *c, const char *path, const char *interface, json_object **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, "org.freedesktop.DBus.Properties", "GetAll");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "s", interface) < 0)
                return -CTL_EXIT_FAILURE;
        r = ctl_call(c, m, &reply);
        if (r < 0)
                return r;
        r = bus_read_json_dictionary(reply, ret);
        if (r < 0) {
                ctl_say_error("Cannot read the agent's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return 0;
}

/* Reports names that are not properties: a script with a typo must not continue. */
static int check_properties(const Ctl *c, json_object *all)
{
        for (size_t i = 0; i < c->n_properties; i++)
                for (const char *s = c->properties[i]; *s;) {
                        _cleanup_free_ char *name = NULL;
                        size_t n = strcspn(s, ",");

                        name = strndup(s, n);
                        s += n + (s[n] == ',');
                        if (!name)
                                return -CTL_EXIT_FAILURE;
                        if (!isempty(name) && !json_object_object_get_ex(all, name, NULL)) {
                                ctl_say_error("There is no property \"%s\"; see org.ssi.Agent1(5).", name);
                                return -CTL_EXIT_FAILURE;
                        }
                }
        return 0;
}

static int print_json(const Ctl *c, json_object *all)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o)
                return ctl_print_json(NULL);
        json_object_object_foreach(all, key, value)
        {
                if (is_wanted(c, key) && json_object_object_add(o, key, json_object_get(value)) < 0)
                        return ctl_print_json(NULL);
        }
        return ctl_print_json(TAKE_PTR(o));
}

static int print_text(const Ctl *c, json_object *all)
{
        json_object_object_foreach(all, key, value)
        {
                _cleanup_free_ char *text = NULL;

                if (!is_wanted(c, key))
                        continue;
                text = json_to_plain_text(value);
                if (!text)
                        return -CTL_EXIT_FAILURE;
                if (!c->value)
                        printf("%s=", key);
                text_put_line(text, TEXT_WIDTH_MAX);
        }
        return CTL_EXIT_OK;
}

static int show(Ctl *c, const char *path, const char *interface)
{
        _cleanup_json_ json_object *all = NULL;
        int r;

        r = get_all(c, path, interface, &all);
        if (r < 0)
                return r;
        r = check_properties(c, all);
        if (r < 0)
                return r;
        return c->json ? print_json(c, all) : print_text(c, all);
}

int verb_show(Ctl *c, int argc, char *argv[])
{
        if (argc == 0)
                return show(c, AGENT_PATH, AGENT_MANAGER_INTERFACE);
        for (int i = 0; i < argc; i++) {
                _cleanup_free_ char *path = NULL;
                int r;

                r = ctl_get_service(c, argv[i], &path);
                if (r < 0)
                        return r;
                if (i > 0 && !c->json && !c->value)
                        putchar('\n');
                r = show(c, path, AGENT_SERVICE_INTERFACE);
                if (r < 0)
                        return r;
        }
        return CTL_EXIT_OK;
}
