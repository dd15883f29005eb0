/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metadata-bus.h"

int metadata_append_problems(sd_bus_message *reply, const Metadata *m)
{
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(uss)");
        for (size_t i = 0; i < m->n_problems && r >= 0; i++) {
                const ScriptProblem *p = m->problems + i;

                r = sd_bus_message_append(reply, "(uss)", p->line, p->warning ? "warning" : "error", p->text);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int metadata_append_values(sd_bus_message *reply, const Metadata *m)
{
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        if (m->slug) {
                r = sd_bus_message_append(reply, "{sv}", "slug", "s", m->slug);
                if (r < 0)
                        return r;
        }
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++) {
                if (!m->value[k])
                        continue;
                r = sd_bus_message_append(reply, "{sv}", metadata_key_to_string(k), "s", m->value[k]);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}
