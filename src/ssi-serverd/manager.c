#include <signal.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "listen.h"
#include "log.h"
#include "manager.h"
#include "worker.h"

#define BODY_MAX           ((size_t) 64 * 1024)
#define SHUTDOWN_USEC      (5 * USEC_PER_SEC)
#define DRAIN_USEC         (5 * USEC_PER_SEC)
#define DRAIN_LOOK_USEC    (10 * USEC_PER_MSEC)
#define RENEW_USEC         (12 * 3600 * USEC_PER_SEC)

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        sd_event_source_disable_unref(m->renew_timer);
        sd_event_source_disable_unref(m->drain_timer);
        /* First: streams, sessions and jobs of the server end through it. */
        http_server_free(m->http);
        server_free(m->server);
        access_key_done(&m->access_key);
        admin_free(m->admin);
        tls_files_done(&m->tls);
        free(m->tls_dir);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}

/* ---- Certificates ---- */

typedef struct RenewJob {
        Manager *manager;
        char *dir;
        TlsFiles files;
        int r;
} RenewJob;

static void renew_work(void *userdata)
{
        RenewJob *j = userdata;

        j->r = tls_files_ensure(j->dir, &j->files);
}

static void renew_done(void *userdata)
{
        RenewJob *j = userdata;
        int r = j->r;

        if (r > 0 && !j->manager->stopping)
                r = http_server_reload_tls(j->manager->http);
        if (r < 0)
                log_warning_errno(r, "Cannot renew the certificate in %s, trying again later", j->dir);
        else if (j->r > 0)
                log_info("Renewed the certificate in %s.", j->dir);
        tls_files_done(&j->files);
        free(j->dir);
        free(j);
}

static int on_renew(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        RenewJob *j;

        j = calloc(1, sizeof(*j));
        if (j) {
                j->manager = m;
                j->dir = strdup(m->tls_dir);
                if (!j->dir || worker_run(http_server_uv(m->http), renew_work, renew_done, j) < 0) {
                        free(j->dir);
                        free(j);
                }
        }
        (void) sd_event_source_set_time_relative(source, RENEW_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int setup_tls(Manager *m, const char *dir)
{
        int r;

        r = tls_files_find(&m->tls);
        if (r < 0)
                return log_error_errno(r, "SSI_TLS_CERT and SSI_TLS_KEY, or the credentials tls.cert and tls.key, "
                                          "must be there together");
        if (r > 0)
                return 0;
        m->tls_dir = strdup(dir);
        if (!m->tls_dir)
                return log_oom();
        r = tls_files_ensure(dir, &m->tls);
        if (r < 0)
                return log_error_errno(r, "Cannot make a certificate in %s", dir);
        if (r > 0)
                log_info("Made a certificate for this host; clients trust it with %s/ca.pem.", dir);
        r = sd_event_add_time_relative(m->event, &m->renew_timer, CLOCK_BOOTTIME, RENEW_USEC, USEC_PER_SEC, on_renew,
                                       m);
        return r < 0 ? log_error_errno(r, "Cannot set up the certificate's renewal") : 0;
}

/* ---- Sockets ---- */

/* Takes fd in any case. */
static int add_listener(Manager *m, int fd_taken)
{
        _cleanup_close_ int fd = fd_taken;
        int local, r;

        if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
                return log_error_errno(ENOTSOCK, "Was given something else than a listening stream socket");
        local = listen_is_local(fd);
        if (local < 0)
                return log_error_errno(local, "Cannot tell the address of a socket");
        r = http_server_add_listener(m->http, fd, !local);
        if (r < 0)
                return log_error_errno(r, "Cannot listen");
        TAKE_FD(fd);
        return 0;
}

static int add_listeners(Manager *m, const ManagerConfig *config)
{
        int n, r;

        n = sd_listen_fds(true);
        if (n < 0)
                return log_error_errno(n, "Cannot take over the sockets");
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
        return 0;
}

/* ---- Start and stop ---- */

static void on_available(bool available, void *userdata)
{
        Manager *m = userdata;

        admin_ready_changed(m->admin);
        if (available && !m->announced && !m->stopping) {
                m->announced = true;
                (void) sd_notify(false, "READY=1\nSTATUS=Serving.");
        } else if (!m->stopping)
                (void) sd_notify(false, available ? "STATUS=Serving." : "STATUS=Waiting for the database.");
}

/* What ended connections still write is let through: a commit that is cut off has to be sent again by somebody. */
static int on_drain(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        if (usec >= m->drain_until || server_is_idle(m->server) ||
            sd_event_source_set_time_relative(source, DRAIN_LOOK_USEC) < 0 ||
            sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
                return sd_event_exit(m->event, 0);
        return 0;
}

static void on_shutdown_done(void *userdata)
{
        Manager *m = userdata;
        uint64_t now;

        if (sd_event_now(m->event, CLOCK_MONOTONIC, &now) < 0 ||
            sd_event_add_time(m->event, &m->drain_timer, CLOCK_MONOTONIC, now, 1, on_drain, m) < 0) {
                (void) sd_event_exit(m->event, 0);
                return;
        }
        m->drain_until = now + DRAIN_USEC;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Manager *m = userdata;

        /* A second signal does not wait. */
        if (m->stopping)
                return sd_event_exit(m->event, 0);
        m->stopping = true;
        (void) sd_notify(false, "STOPPING=1\nSTATUS=Shutting down.");
        server_prepare_stop(m->server);
        if (http_server_shutdown(m->http, SHUTDOWN_USEC, on_shutdown_done, m) < 0)
                return sd_event_exit(m->event, 0);
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

        if (access(config->web_dir, F_OK) < 0) {
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
        _cleanup_free_ char *ca = NULL;

        if (m->tls_dir && asprintf(&ca, "%s/ca.pem", m->tls_dir) < 0) {
                ca = NULL;
                return -ENOMEM;
        }
        return admin_new(m->server, ca, &m->admin);
}

int manager_new(const ManagerConfig *config, Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return log_oom();
        r = setup_event(m);
        if (r < 0)
                return r;
        r = setup_tls(m, config->tls_dir);
        if (r < 0)
                return r;
        r = setup_http(m, config);
        if (r < 0)
                return r;
        r = access_key_load(config->key_dir, &m->access_key);
        if (r < 0)
                return log_error_errno(r, "Cannot load the private key of the access tokens");
        r = server_new(m->event, m->http, config->conninfo, &m->access_key, &m->server);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the server");
        r = setup_admin(m);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the administration");
        r = add_listeners(m, config);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}
