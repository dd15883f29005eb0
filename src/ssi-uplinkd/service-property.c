/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service-property.h"
#include "shared/metadata.h"

static int read_string(sd_bus_message *m, char **field)
{
        const char *s;
        int r;

        r = sd_bus_message_read(m, "v", "s", &s);
        return r < 0 ? r : free_and_strdup(field, s);
}

/* Stores the words separated by commas. */
static int read_words(sd_bus_message *m, char **field)
{
        _cleanup_free_ char *words = NULL;
        const char *word;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &word)) > 0) {
                char *longer;

                if (asprintf(&longer, "%s%s%s", strempty(words), words ? ", " : "", word) < 0)
                        return -ENOMEM;
                free(words);
                words = longer;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : free_and_strdup(field, words);
}

/* Leaves out what the backend would refuse (docs/protocol.md). */
static int read_metadata(sd_bus_message *m, json_object **field)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        size_t n = 0, size = 0;
        const char *key, *value;
        int r;

        if (!o)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{ss}");
        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                if (metadata_passive_fits(key, value, &n, &size))
                        r = json_add_string(o, key, value);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0 || json_object_equal(o, *field))
                return MIN(r, 0);
        json_object_put(*field);
        *field = TAKE_PTR(o);
        return 1;
}

static int read_usec(sd_bus_message *m, uint64_t *field)
{
        uint64_t v;
        int r;

        r = sd_bus_message_read(m, "v", "t", &v);
        if (r < 0)
                return r;
        r = v != *field;
        *field = v;
        return r;
}

static int read_bool(sd_bus_message *m, bool *field)
{
        int r, v;

        r = sd_bus_message_read(m, "v", "b", &v);
        if (r < 0)
                return r;
        r = v != *field;
        *field = v;
        return r;
}

int service_property_read(sd_bus_message *m, const char *name, ServiceInfo *s, bool *ret_next_run)
{
        int r;

        if (streq(name, "Name"))
                return read_string(m, &s->slug);
        if (streq(name, "Title"))
                return read_string(m, &s->title);
        if (streq(name, "Metadata"))
                return read_metadata(m, &s->metadata);
        if (streq(name, "Schedule"))
                return read_string(m, &s->schedule);
        if (streq(name, "Watches"))
                return read_words(m, &s->watches);
        if (streq(name, "DependsOn"))
                return read_words(m, &s->depends_on);
        if (streq(name, "TimeoutUSec"))
                return read_usec(m, &s->timeout_usec);
        if (streq(name, "Enabled"))
                return read_bool(m, &s->enabled);
        if (streq(name, "NextRunUSec")) {
                r = read_usec(m, &s->next_run);
                *ret_next_run |= r > 0;
                return MIN(r, 0);
        }
        r = sd_bus_message_skip(m, "v");
        return MIN(r, 0);
}

bool service_property_is_told(const char *name)
{
        static const char *const told[] = {
                "Name",      "Title",       "Metadata", "Schedule",    "Watches",
                "DependsOn", "TimeoutUSec", "Enabled",  "NextRunUSec",
        };

        for (size_t i = 0; i < ELEMENTSOF(told); i++)
                if (streq(name, told[i]))
                        return true;
        return false;
}
