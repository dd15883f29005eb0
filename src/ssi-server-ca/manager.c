/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pwd.h>
#include <systemd/sd-daemon.h>

#include "manager.h"
#include "shared/bus-util.h"
#include "shared/daemon-main.h"
#include "shared/log.h"

#define BACKEND_USER "ssi-server"

static int find_backend(uid_t *ret)
{
        /* cppcheck-suppress getpwnamCalled ; no threads */
        const struct passwd *p = getpwnam(BACKEND_USER);

        if (!p)
                return log_error_errno(ENOENT, "There is no user " BACKEND_USER);
        *ret = p->pw_uid;
        return 0;
}

static int connect_bus(Manager *m)
{
        int r;

        r = polkit_registry_new(&m->polkit);
        if (r >= 0)
                r = bus_open_daemon(m->event, &m->bus);
        if (r >= 0)
                r = bus_turns_new(m->bus, m->polkit, &m->turns);
        if (r >= 0)
                r = manager_add_object(m);
        if (r >= 0)
                r = bus_request_name(m->bus, SERVER_CA_BUS_NAME);
        return r < 0 ? log_error_errno(r, "Cannot connect to the system bus") : 0;
}

int manager_new(Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return log_oom();
        m->ca.dir = -EBADF;
        r = daemon_event_new(&m->event);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the event loop");
        r = ca_open(SSI_SERVER_CA_DIR, &m->ca);
        if (r < 0)
                return log_error_errno(r, "Cannot read " SSI_SERVER_CA_DIR);
        r = find_backend(&m->backend);
        if (r >= 0)
                r = connect_bus(m);
        if (r < 0)
                return r;
        (void) sd_notify(false, "READY=1");
        *ret = TAKE_PTR(m);
        return 0;
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        bus_turns_free(m->turns);
        polkit_registry_free(m->polkit);
        sd_bus_flush_close_unref(m->bus);
        ca_close(&m->ca);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}
