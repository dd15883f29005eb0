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
        *ret_event = m->event;
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
                .name = "ssi-uplinkd",
                .about = "Reports the results of this host to a backend: org.ssi.Uplink1 on the system bus.",
                .see_also = "ssi-uplinkd(8) and ssictl(1)",
                .start = start,
                .stop = stop,
        };

        return daemon_main(argc, argv, &info);
}
