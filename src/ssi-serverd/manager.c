/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <signal.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "admin/join-files.h"
#include "http/listen.h"
#include "shared/log.h"
#include "manager.h"
#include "shared/time-util.h"

#define BODY_MAX        ((size_t) 64 * 1024)
#define SHUTDOWN_USEC   (5 * USEC_PER_SEC)
#define DRAIN_USEC      (5 * USEC_PER_SEC)
#define DRAIN_LOOK_USEC (10 * USEC_PER_MSEC)

/* A client that connects before the database is ready waits this long in the kernel's queue before it is
 * refused: a restart takes less, so it goes unnoticed. */
#define LISTEN_WAIT_USEC (2 * USEC_PER_SEC)

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        manager_tls_done(m);
        sd_event_source_disable_unref(m->listen_timer);
        sd_event_source_disable_unref(m->drain_timer);
        /* First: the server's streams, sessions and jobs end through it. */
        http_server_free(m->http);
        backend_free(m->backend);
        access_key_done(&m->access_key);
        admin_free(m->admin);
        tls_files_done(&m->tls);
        config_done(&m->config);
        free(m->tls_dir);
        free(m->joined);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}

/* ---- Sockets ---- */

/* Takes ownership of fd in any case. */
static int add_listener(Manager *m, int fd_taken)
{
        _cleanup_close_ int fd = fd_taken;
        int local, r;

        if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
                return log_error_errno(ENOTSOCK, "Expected a listening stream socket");
        local = listen_is_local(fd);
        if (local < 0)
                return log_error_errno(local, "Cannot determine the address of a socket");
        r = http_server_add_listener(m->http, fd, !local);
        if (r < 0)
                return log_error_errno(r, "Cannot listen");
        TAKE_FD(fd);
        return 0;
}

static int on_listen_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        http_server_set_accepting(m->http, true);
        return 0;
}

static int add_listeners(Manager *m, const ManagerConfig *config)
{
        int n, r;

        n = sd_listen_fds(true);
        if (n < 0)
                return log_error_errno(n, "Cannot receive the sockets from systemd");
        for (int i = 0; i < n; i++) {
                r = add_listener(m, SD_LISTEN_FDS_START + i);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < config->n_listen; i++) {
                int fd;

                r = listen_open(config->listen[i], &fd);
                if (r < 0)
                        return log_error_errno(r, "Cannot listen on %s", config->listen[i]);
                r = add_listener(m, fd);
                if (r < 0)
                        return r;
        }
        if (n == 0 && config->n_listen == 0)
                return log_error_errno(EINVAL, "No socket to listen on: start ssi-serverd.socket, or see --listen");
        http_server_set_accepting(m->http, false);
        r = sd_event_add_time_relative(m->event, &m->listen_timer, CLOCK_MONOTONIC, LISTEN_WAIT_USEC, 0,
                                       on_listen_timer, m);
        return r < 0 ? log_error_errno(r, "Cannot set a timer") : 0;
}

/* ---- Startup and shutdown ---- */

static void on_available(bool available, void *userdata)
{
        Manager *m = userdata;

        admin_ready_changed(m->admin);
        if (available)
                http_server_set_accepting(m->http, true);
        if (available && !m->announced && !m->stopping) {
                m->announced = true;
                (void) sd_notify(false, "READY=1\nSTATUS=Serving.");
        } else if (!m->stopping)
                (void) sd_notify(false, available ? "STATUS=Serving." : "STATUS=Waiting for the database.");
}

/* Lets through what ended connections still write: otherwise agents would have to resend a commit that was
 * cut off. */
static int on_drain(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        if (usec >= m->drain_until || backend_is_idle(m->backend) ||
            sd_event_source_set_time_relative(source, DRAIN_LOOK_USEC) < 0 ||
            sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
                return sd_event_exit(m->event, m->exit_status);
        return 0;
}

static void on_shutdown_done(void *userdata)
{
        Manager *m = userdata;
        uint64_t now;

        if (sd_event_now(m->event, CLOCK_MONOTONIC, &now) < 0 ||
            sd_event_add_time(m->event, &m->drain_timer, CLOCK_MONOTONIC, now, 1, on_drain, m) < 0) {
                (void) sd_event_exit(m->event, m->exit_status);
                return;
        }
        m->drain_until = now + DRAIN_USEC;
}

static void stop(Manager *m)
{
        m->stopping = true;
        (void) sd_notify(false, "STOPPING=1\nSTATUS=Shutting down.");
        backend_prepare_stop(m->backend);
        if (http_server_shutdown(m->http, SHUTDOWN_USEC, on_shutdown_done, m) < 0)
                (void) sd_event_exit(m->event, m->exit_status);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Manager *m = userdata;

        /* On a second signal, stop at once. */
        if (m->stopping)
                return sd_event_exit(m->event, 0);
        stop(m);
        return 0;
}

static void restart(void *userdata)
{
        Manager *m = userdata;

        if (m->stopping)
                return;
        m->exit_status = EXIT_RESTART;
        stop(m);
}

/* Without the query and the body, which may contain secrets. */
static void on_answered(const HttpAnswer *a, void *userdata)
{
        log_info("%s %s %s %d %" PRIu64 "ms", a->peer, a->method, a->path, a->status, a->duration_usec / USEC_PER_MSEC);
}

static void apply_settings(Manager *m)
{
        int r;

        log_set_max_level(m->debug ? LOG_DEBUG : (int) m->config.log_level);
        if (!m->http)
                return;
        http_server_set_access_log(m->http, m->config.access_log ? on_answered : NULL, m);
        r = http_server_set_trusted_proxies(m->http, m->config.trusted_proxies);
        if (r < 0)
                log_warning_errno(r, "Cannot apply SSI_TRUSTED_PROXIES");
}

void manager_reload(Manager *m)
{
        int r;

        r = config_reload(SSI_SERVERD_CONF, &m->config);
        if (r < 0)
                log_warning_errno(r, "Cannot read %s, keeping the current settings (chgrp ssi-server, chmod 640)",
                                  SSI_SERVERD_CONF);
        apply_settings(m);
        backend_reloaded(m->backend);
        manager_reload_tls(m);
        if (r >= 0)
                log_info("Reloaded the settings.");
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Manager *m = userdata;

        /* Before the start is complete, READY=1 would be premature. */
        if (m->stopping || !m->announced) {
                if (!m->stopping)
                        manager_reload(m);
                return 0;
        }
        (void) sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reloading.",
                          now_usec(CLOCK_MONOTONIC));
        manager_reload(m);
        (void) sd_notify(false, backend_is_ready(m->backend) ? "READY=1\nSTATUS=Serving." :
                                                               "READY=1\nSTATUS=Waiting for the database.");
        return 0;
}

static int setup_event(Manager *m)
{
        int r;

        r = sd_event_new(&m->event);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGTERM, on_signal, m);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGINT, on_signal, m);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGHUP, on_reload, m);
        if (r >= 0)
                r = sd_event_set_watchdog(m->event, true);
        return r < 0 ? log_error_errno(r, "Cannot set up the event loop") : 0;
}

static int setup_http(Manager *m, const ManagerConfig *config)
{
        HttpConfig http = {
                .web_dir = config->web_dir,
                .cert_file = m->tls.cert,
                .key_file = m->tls.key,
                .body_max = BODY_MAX,
        };
        int r;

        if (!(config->role & BACKEND_ROLE_API))
                http.web_dir = NULL;
        else if (access(config->web_dir, F_OK) < 0) {
                log_notice("No dashboard in %s, serving without.", config->web_dir);
                http.web_dir = NULL;
        }
        r = http_server_new(m->event, &http, &m->http);
        if (r < 0)
                return log_error_errno(r, "Cannot set up HTTP (certificate %s)", m->tls.cert);
        http_server_set_unavailable(m->http, "The server is starting.");
        http_server_set_available_callback(m->http, on_available, m);
        return 0;
}

static int setup_admin(Manager *m)
{
        const char *dir = m->tls_dir ?:
                                  m->joined && m->tls.cert && startswith(m->tls.cert, SSI_SERVER_JOIN_DIR "/") ?
                                  SSI_SERVER_JOIN_DIR :
                                  NULL;
        _cleanup_free_ char *ca = NULL;
        AdminConfig config = {
                .cert_file = m->tls.cert,
                .joined = m->joined,
                .signs = m->tls_helper,
                .restart = restart,
                .restart_userdata = m,
        };

        if (dir && asprintf(&ca, "%s/ca.pem", dir) < 0) {
                ca = NULL;
                return -ENOMEM;
        }
        config.ca_file = ca;
        return admin_new(m->backend, &config, &m->admin);
}

int manager_new(const ManagerConfig *config, Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return log_oom();
        m->debug = config->debug;
        r = config_load(SSI_SERVERD_CONF, &m->config);
        if (r < 0)
                return r;
        apply_settings(m);
        r = setup_event(m);
        if (r < 0)
                return r;
        r = manager_setup_tls(m, config->tls_dir, config->ca_helper);
        if (r < 0)
                return r;
        r = setup_http(m, config);
        if (r < 0)
                return r;
        apply_settings(m);
        r = join_read_address(SSI_SERVER_JOIN_DIR, &m->joined);
        if (r < 0)
                log_warning_errno(r, "Cannot read " SSI_SERVER_JOIN_DIR);
        r = access_key_load(m->config.access_token_key, config->key_dir, &m->access_key);
        if (r < 0)
                return log_error_errno(r, "Cannot load the private key of the access tokens");
        r = backend_new(m->event, m->http, &m->config, config->role, &m->access_key, join_has_left(SSI_SERVER_JOIN_DIR),
                        &m->backend);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the server");
        r = setup_admin(m);
        if (r < 0)
                return log_error_errno(r, "Cannot set up local administration");
        r = manager_watch_tls(m);
        if (r < 0)
                return r;
        r = add_listeners(m, config);
        if (r < 0)
                return r;
        if (m->backend->has_left) {
                log_notice("This host was taken out of service with \"ssictl server leave\". To serve without joining "
                           "again, remove " SSI_SERVER_JOIN_DIR "/" JOIN_LEFT " and restart ssi-serverd.");
                (void) sd_notify(false, "READY=1\nSTATUS=Taken out of service.");
        }
        *ret = TAKE_PTR(m);
        return 0;
}
