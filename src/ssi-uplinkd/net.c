/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/mman.h>

#include "shared/log.h"
#include "net-internal.h"

#define CA_SIZE_MAX (256U * 1024)

/* Used by lws: one connection, or two while an old one closes, and its own pipe. */
#define FDS_MAX 16

/* lws would schedule its own pings unseen by sd-event; the session sends pings itself. */
static const lws_retry_bo_t no_pings = {};

static void on_lws_log(int level, const char *line)
{
        log_debug("libwebsockets: %.*s", (int) strcspn(line, "\n"), line);
}

static int create_vhost(Net *n, int ca_fd, struct lws_vhost **ret)
{
        char path[64];
        struct lws_context_creation_info info = {
                .port = CONTEXT_PORT_NO_LISTEN,
                .vhost_name = "client",
                .protocols = net_protocols,
                .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
                .retry_and_idle_policy = &no_pings,
                .timeout_secs = 20,
                .connect_timeout_secs = 20,
        };
        struct lws_vhost *vhost;

        if (ca_fd >= 0) {
                snprintf(path, sizeof(path), "/proc/self/fd/%i", ca_fd);
                info.client_ssl_ca_filepath = path;
                info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
        }
        vhost = lws_create_vhost(n->context, &info);
        if (!vhost)
                return -EINVAL;
        *ret = vhost;
        return 0;
}

static int make_ca_file(const char *pem)
{
        _cleanup_close_ int fd = -EBADF;
        size_t n = strlen(pem);

        if (n > CA_SIZE_MAX)
                return -E2BIG;
        fd = memfd_create("ca.pem", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (write(fd, pem, n) != (ssize_t) n)
                return -EIO;
        return TAKE_FD(fd);
}

static bool has_certificate(const char *pem)
{
        X509 *x;
        BIO *b;

        b = BIO_new_mem_buf(pem, -1);
        if (!b)
                return false;
        x = PEM_read_bio_X509(b, NULL, NULL, NULL);
        BIO_free(b);
        X509_free(x);
        ERR_clear_error();
        return x;
}

int net_set_ca(Net *n, const char *pem)
{
        _cleanup_close_ int fd = -EBADF;
        struct lws_vhost *vhost;
        int r;

        if (pem) {
                if (!has_certificate(pem))
                        return -EINVAL;
                fd = make_ca_file(pem);
                if (fd < 0)
                        return fd;
        }
        r = create_vhost(n, fd, &vhost);
        if (r < 0)
                return r;
        if (n->vhost)
                lws_vhost_destroy(n->vhost);
        n->vhost = vhost;
        safe_close(n->ca_fd);
        n->ca_fd = TAKE_FD(fd);
        net_kick(n);
        return 0;
}

int net_new(sd_event *event, Net **ret)
{
        _cleanup_(net_freep) Net *n = NULL;
        struct lws_context_creation_info info = {
                .port = CONTEXT_PORT_NO_LISTEN,
                .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
                .gid = (gid_t) -1,
                .uid = (uid_t) -1,
                .fd_limit_per_thread = FDS_MAX,
                .retry_and_idle_policy = &no_pings,
        };
        int r;

        n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        n->ca_fd = -EBADF;
        n->event = sd_event_ref(event);
        r = net_loop_setup(n);
        if (r < 0)
                return r;
        /* libssl has the texts of TLS errors; libcrypto's thousands would only use memory. */
        if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL) != 1)
                return -ENOMEM;
        lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
        n->context = lws_create_context(&info);
        if (!n->context)
                return -ENOMEM;
        *ret = TAKE_PTR(n);
        return 0;
}

Net *net_free(Net *n)
{
        if (!n)
                return NULL;
        if (n->context)
                lws_context_destroy(n->context);
        net_loop_done(n);
        sd_event_unref(n->event);
        safe_close(n->ca_fd);
        free(n);
        return NULL;
}
