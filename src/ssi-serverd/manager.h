#pragma once

/* The backend's manager: owns the event loop, the HTTP server and the application on it. */

#include <systemd/sd-event.h>

#include "access-key.h"
#include "admin.h"
#include "http.h"
#include "server.h"
#include "tls.h"

#define LISTEN_MAX 16

typedef struct ManagerConfig {
        const char *listen[LISTEN_MAX]; /* addresses besides the inherited sockets */
        size_t n_listen;
        const char *conninfo;
        const char *web_dir;
        const char *tls_dir;
        const char *key_dir;
} ManagerConfig;

typedef struct Manager {
        sd_event *event;
        HttpServer *http;
        Server *server;
        Admin *admin;

        char *tls_dir;    /* NULL when the administrator gave a certificate */
        TlsFiles tls;
        AccessKey access_key;
        sd_event_source *renew_timer;
        sd_event_source *drain_timer;
        uint64_t drain_until; /* CLOCK_MONOTONIC, usec */

        bool announced;   /* READY=1 was said */
        bool stopping;
} Manager;

/* Logs its errors. */
int manager_new(const ManagerConfig *config, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);
