#include "table.h"

int verb_list(Ctl *c, int argc, char *argv[])
{
        ServiceInfo *infos = NULL;
        size_t n = 0;
        int r;

        r = ctl_get_services(c, &infos, &n);
        if (r < 0)
                return r;
        if (c->json)
                r = ctl_print_json(service_infos_to_json(infos, n));
        else if (n > 0)
                table_print_services(c, infos, n);
        else
                puts("No service-scripts are installed. Add one: ssictl add FILE");
        service_infos_free(infos, n);
        return r;
}
