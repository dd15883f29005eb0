/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service-list.h"
#include "table.h"

int verb_list(Ctl *c, int argc, char *argv[])
{
        _cleanup_(service_list_done) ServiceList l = {};
        int r;

        r = c->json ? service_list_get_all(c, &l) : service_list_get(c, &l);
        if (r < 0)
                return r;
        if (c->json)
                return ctl_print_json(service_list_to_json(&l));
        if (l.n > 0)
                table_print_services(c, l.infos, l.n);
        else
                puts("No service-scripts are installed. Add one: ssictl add FILE");
        return CTL_EXIT_OK;
}
