/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The backend's manager: owns the event loop, the HTTP server, and the application on it. */

#include <systemd/sd-event.h>

#include "auth/access-key.h"
#include "admin/admin.h"
#include "config/config.h"
#include "http/http.h"
#include "start.h"
#include "tls/tls.h"

#define LISTEN_MAX 16

/* The unit starts it again after this one (EX_TEMPFAIL), with settings that have changed. */
#define EXIT_RESTART 75

typedef struct ManagerConfig {
        const char *listen[LISTEN_MAX]; /* addresses besides the inherited sockets */
        size_t n_listen;
        const char *web_dir;
        const char *tls_dir;
        const char *key_dir;
        bool ca_helper; /* the certificate authority's key is with ssi-server-ca */
        BackendRole role;
        bool debug;
} ManagerConfig;

typedef struct Manager {
        sd_event *event;
        HttpServer *http;
        Backend *backend;
        Admin *admin;

        Config config;
        bool debug; /* --debug: overrides the settings */

        char *tls_dir; /* NULL if the administrator provided a certificate */
        bool tls_helper;
        TlsFiles tls;
        AccessKey access_key;
        sd_event_source *renew_timer;
        bool renewing; /* in a worker thread */
        sd_event_source *tls_watches[2], *tls_changed;
        sd_event_source *listen_timer;
        sd_event_source *drain_timer;
        uint64_t drain_until; /* CLOCK_MONOTONIC, usec */

        char *joined;   /* see AdminConfig */
        bool announced; /* READY=1 was sent */
        bool stopping;
        int exit_status;
} Manager;

/* manager-tls.c: finds or makes the certificate; later, with an HTTP server, keeps it up to date. Both
 * log. */
int manager_setup_tls(Manager *m, const char *dir, bool helper);
int manager_watch_tls(Manager *m);
void manager_reload_tls(Manager *m);
void manager_tls_done(Manager *m);

/* Applies the current settings and certificate; keeps the old ones where the new are invalid, and logs
 * that. */
void manager_reload(Manager *m);

/* Logs its errors. */
int manager_new(const ManagerConfig *config, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);
