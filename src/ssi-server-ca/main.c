/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager.h"
#include "shared/daemon-main.h"

static int start(void **ret_manager, sd_event **ret_event)
{
        Manager *m;
        int r;

        r = manager_new(&m);
        if (r < 0)
                return r;
        *ret_event = m->event;
        *ret_manager = m;
        return 0;
}

static void stop(void *manager)
{
        manager_free(manager);
}

int main(int argc, char *argv[])
{
        static const DaemonInfo info = {
                .name = "ssi-server-ca",
                .about = "Holds the backend's private certificate authority: org.ssi.ServerCA1 on the system bus.",
                .see_also = "ssi-server-ca(8) and ssi-serverd(8)",
                .start = start,
                .stop = stop,
        };

        return daemon_main(argc, argv, &info);
}
