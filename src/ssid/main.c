/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/daemon-main.h"
#include "shared/log.h"
#include "manager.h"

static int start(void **ret_manager, sd_event **ret_event)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        r = manager_new(&m);
        if (r < 0)
                return log_error_errno(r, "Cannot set up");
        r = manager_start(m);
        if (r < 0)
                return r;
        *ret_event = m->agent.event;
        *ret_manager = TAKE_PTR(m);
        return 0;
}

static void stop(void *manager)
{
        manager_free(manager);
}

int main(int argc, char *argv[])
{
        static const DaemonInfo info = {
                .name = "ssid",
                .about = "Manages the service-scripts of this host: org.ssi.Agent1 on the system bus.",
                .see_also = "ssid(8) and ssictl(1)",
                .has_children = true,
                .start = start,
                .stop = stop,
        };

        return daemon_main(argc, argv, &info);
}
