/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libgen.h>
#include <sys/inotify.h>

#include "admin/renew-client.h"
#include "shared/log.h"
#include "shared/time-util.h"
#include "manager.h"
#include "loop/worker.h"

#define RENEW_USEC (12 * 3600 * USEC_PER_SEC)

/* Certificate and key are rarely replaced at exactly the same time. */
#define CHANGED_USEC USEC_PER_SEC

/* A host that has joined tries again after a tenth of what is left, within these. */
#define RETRY_MIN_USEC (10 * USEC_PER_SEC)
#define RETRY_MAX_USEC (3600 * USEC_PER_SEC)

/* ---- What is told of it ---- */

static void note_end(Manager *m)
{
        uint64_t begin, end;

        m->backend->certificate.end = tls_certificate_times(m->tls.cert, &begin, &end) < 0 ? 0 : end;
}

/* What is there now is used in any case: another instance may have made it. message: why it was not renewed. */
static void note_renewal(Manager *m, int r, const char *message)
{
        if (r < 0) {
                m->backend->certificate.failed++;
                (void) free_and_strdup(&m->backend->certificate.trouble, message);
        } else {
                m->backend->certificate.renewed += r > 0;
                free(TAKE_PTR(m->backend->certificate.trouble));
        }
        note_end(m);
}

/* When a host that has joined looks again. The timer runs by another clock than the certificate's, which may be set. */
static void look_again(Manager *m)
{
        uint64_t now = now_usec(CLOCK_REALTIME), wait = RENEW_USEC, begin, end, due;

        if (tls_certificate_times(m->tls.cert, &begin, &end) >= 0) {
                due = renew_due(begin, end);
                if (due > now)
                        wait = MIN(due - now, RENEW_USEC);
                else
                        wait = end > now ? MIN(MAX((end - now) / 10, RETRY_MIN_USEC), RETRY_MAX_USEC) : RETRY_MAX_USEC;
        }
        (void) sd_event_source_set_time_relative(m->renew_timer, wait);
        (void) sd_event_source_set_enabled(m->renew_timer, SD_EVENT_ONESHOT);
}

/* ---- The private certificate ---- */

typedef struct RenewJob {
        Manager *manager;
        char *dir, *host; /* host: if it has joined, and the first host renews */
        bool helper;
        TlsFiles files;
        char *message;
        int r;
} RenewJob;

static void renew_job_free(RenewJob *j)
{
        if (!j)
                return;
        tls_files_done(&j->files);
        free(j->dir);
        free(j->host);
        free(j->message);
        free(j);
}
DEFINE_CLEANUP(RenewJob *, renew_job_free);

static void renew_work(void *userdata)
{
        RenewJob *j = userdata;

        if (j->host)
                j->r = renew_perform(j->dir, j->host, &j->message);
        else
                j->r = tls_files_ensure(j->dir, j->helper, &j->files);
}

static void renew_done(void *userdata)
{
        _cleanup_(renew_job_freep) RenewJob *j = userdata;
        Manager *m = j->manager;
        int r = j->r;

        m->renewing = false;
        if (m->stopping)
                return;
        if (r >= 0)
                r = http_server_reload_tls(m->http);
        if (r < 0)
                log_warning("Cannot renew the certificate in %s, trying again later: %s", j->dir,
                            j->message ?: strerror(-r));
        else if (j->r > 0)
                log_info("Renewed the certificate in %s.", j->dir);
        note_renewal(m, r < 0 ? r : j->r, j->message ?: strerror(-r));
        if (j->host)
                look_again(m);
}

static void renew(Manager *m, const char *dir, const char *host)
{
        _cleanup_(renew_job_freep) RenewJob *j = NULL;

        if (m->renewing)
                return;
        j = calloc(1, sizeof(*j));
        if (!j)
                return;
        j->manager = m;
        j->helper = m->tls_helper;
        j->dir = strdup(dir);
        j->host = host ? strdup(host) : NULL;
        if (!j->dir || (host && !j->host) || worker_run(http_server_uv(m->http), renew_work, renew_done, j) < 0)
                return;
        m->renewing = true;
        TAKE_PTR(j);
}

static int on_renew(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        renew(m, m->tls_dir, NULL);
        (void) sd_event_source_set_time_relative(source, RENEW_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- The certificate of a host that has joined ---- */

static bool has_joined(const Manager *m)
{
        return startswith(m->tls.cert, SSI_SERVER_JOIN_DIR "/");
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        note_end(m);
        renew(m, SSI_SERVER_JOIN_DIR, m->backend->host);
        /* Otherwise, the end of the work looks again. */
        if (!m->renewing)
                look_again(m);
        return 0;
}

static int watch_end(Manager *m)
{
        if (!has_joined(m))
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
                renew(m, m->tls_dir, NULL);
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
        note_end(m);
        if (m->renew_timer)
                renew(m, SSI_SERVER_JOIN_DIR, m->backend->host);
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

        note_end(m);
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
