/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libgen.h>
#include <sys/inotify.h>

#include "shared/log.h"
#include "manager.h"
#include "loop/worker.h"

#define RENEW_USEC (12 * 3600 * USEC_PER_SEC)

/* Certificate and key are rarely replaced at exactly the same time. */
#define CHANGED_USEC USEC_PER_SEC

/* ---- The private certificate ---- */

typedef struct RenewJob {
        Manager *manager;
        char *dir;
        bool helper;
        TlsFiles files;
        int r;
} RenewJob;

static void renew_work(void *userdata)
{
        RenewJob *j = userdata;

        j->r = tls_files_ensure(j->dir, j->helper, &j->files);
}

static void renew_done(void *userdata)
{
        RenewJob *j = userdata;
        int r = j->r;

        /* Another instance may have made it: use what is there now. */
        if (r >= 0 && !j->manager->stopping)
                r = http_server_reload_tls(j->manager->http);
        if (r < 0)
                log_warning_errno(r, "Cannot renew the certificate in %s, trying again later", j->dir);
        else if (j->r > 0)
                log_info("Renewed the certificate in %s.", j->dir);
        tls_files_done(&j->files);
        free(j->dir);
        free(j);
}

static void renew(Manager *m)
{
        RenewJob *j = calloc(1, sizeof(*j));

        if (!j)
                return;
        j->manager = m;
        j->helper = m->tls_helper;
        j->dir = strdup(m->tls_dir);
        if (!j->dir || worker_run(http_server_uv(m->http), renew_work, renew_done, j) < 0) {
                free(j->dir);
                free(j);
        }
}

static int on_renew(sd_event_source *source, uint64_t usec, void *userdata)
{
        renew(userdata);
        (void) sd_event_source_set_time_relative(source, RENEW_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Of a host that has joined: only the first host's authority can renew it. */
static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        if (tls_file_ends_soon(m->tls.cert))
                log_warning(
                        "The certificate of this host expires within 30 days. To renew it, join again: \"ssictl server "
                        "join-token\" on the first host.");
        (void) sd_event_source_set_time_relative(source, RENEW_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int watch_end(Manager *m)
{
        if (!startswith(m->tls.cert, SSI_SERVER_JOIN_DIR "/"))
                return 0;
        return sd_event_add_time_relative(m->event, &m->renew_timer, CLOCK_BOOTTIME, 0, USEC_PER_SEC, on_look, m);
}

int manager_setup_tls(Manager *m, const char *dir, bool helper)
{
        int r;

        r = tls_files_find(m->config.tls_cert, m->config.tls_key, &m->tls);
        if (r < 0)
                return log_error_errno(r, "SSI_TLS_CERT and SSI_TLS_KEY, or the credentials tls.cert and tls.key, "
                                          "must be given together");
        if (r > 0)
                return watch_end(m);
        m->tls_dir = strdup(dir);
        if (!m->tls_dir)
                return log_oom();
        m->tls_helper = helper;
        r = tls_files_ensure(dir, helper, &m->tls);
        if (r == -ENOTCONN)
                return log_error_errno(r, "The certificate in %s cannot be renewed without ssi-server-ca.service", dir);
        if (r < 0)
                return log_error_errno(r, "Cannot make a certificate in %s", dir);
        if (r > 0)
                log_info("Made a certificate for this host; clients trust it with %s/ca.pem.", dir);
        r = sd_event_add_time_relative(m->event, &m->renew_timer, CLOCK_BOOTTIME, RENEW_USEC, USEC_PER_SEC, on_renew,
                                       m);
        return r < 0 ? log_error_errno(r, "Cannot set up the certificate's renewal") : 0;
}

/* ---- The administrator's certificate ---- */

void manager_reload_tls(Manager *m)
{
        int r;

        if (m->tls_dir) {
                renew(m);
                return;
        }
        /* lws would apply a valid half alone. */
        r = tls_files_check(&m->tls);
        if (r >= 0)
                r = http_server_reload_tls(m->http);
        if (r < 0)
                log_warning_errno(r, "The certificate in %s is not usable with the key in %s, keeping the previous one",
                                  m->tls.cert, m->tls.key);
        else
                log_info("Using the new certificate in %s.", m->tls.cert);
}

static int on_changed(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        m->tls_changed = sd_event_source_disable_unref(m->tls_changed);
        manager_reload_tls(m);
        return 0;
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Manager *m = userdata;

        if (!m->stopping && !m->tls_changed)
                (void) sd_event_add_time_relative(m->event, &m->tls_changed, CLOCK_MONOTONIC, CHANGED_USEC, 0,
                                                  on_changed, m);
        return 0;
}

static int watch_folder_of(Manager *m, const char *file, sd_event_source **ret)
{
        _cleanup_free_ char *copy = strdup(file);

        if (!copy)
                return -ENOMEM;
        return sd_event_add_inotify(m->event, ret, dirname(copy), IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE, on_inotify,
                                    m);
}

int manager_watch_tls(Manager *m)
{
        int r;

        if (m->tls_dir)
                return 0;
        r = watch_folder_of(m, m->tls.cert, &m->tls_watches[0]);
        if (r >= 0)
                r = watch_folder_of(m, m->tls.key, &m->tls_watches[1]);
        /* A reload still reads it. */
        if (r < 0)
                log_notice("Cannot watch %s for a renewed certificate (%s); after a renewal, run \"systemctl reload\".",
                           m->tls.cert, strerror(-r));
        return 0;
}

void manager_tls_done(Manager *m)
{
        sd_event_source_disable_unref(m->renew_timer);
        sd_event_source_disable_unref(m->tls_changed);
        for (size_t i = 0; i < ELEMENTSOF(m->tls_watches); i++)
                sd_event_source_disable_unref(m->tls_watches[i]);
}
