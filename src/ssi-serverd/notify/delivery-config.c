/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sodium.h>

#include "notify/delivery.h"
#include "shared/io-util.h"
#include "shared/log.h"
#include "shared/network.h"

#define SECRET_MAX 1024

DEFINE_CLEANUP(CURLU *, curl_url_cleanup);

void delivery_config_done(DeliveryConfig *c)
{
        if (c->smtp_password)
                sodium_memzero(c->smtp_password, strlen(c->smtp_password));
        free(c->smtp_url);
        free(c->smtp_user);
        free(c->smtp_password);
        free(c->smtp_from);
        free(c->smtp_ca);
        free(c->public_url);
        *c = (DeliveryConfig){};
}

/* The systemd credential smtp.password, without its trailing line break; NULL if there is none. */
static int load_password(char **ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t n;
        int r;

        r = credential_path("smtp.password", &path);
        if (r <= 0)
                return r;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = read_at_most(fd, SECRET_MAX, &text, &n);
        if (r < 0)
                return r;
        text[strcspn(text, "\r\n")] = '\0';
        *ret = strdup(text);
        sodium_memzero(text, n);
        return *ret ? 0 : -ENOMEM;
}

static int take_part(CURLU *u, CURLUPart part, char **ret)
{
        CURLUcode code;
        char *s;

        code = curl_url_get(u, part, &s, CURLU_URLDECODE);
        if (code == CURLUE_NO_USER || code == CURLUE_NO_PASSWORD)
                return 0;
        if (code != CURLUE_OK)
                return -EINVAL;
        *ret = strdup(s);
        curl_free(s);
        return *ret ? curl_url_set(u, part, NULL, 0) == CURLUE_OK ? 0 : -EINVAL : -ENOMEM;
}

/* Moves user and password out of the URL, so that it may be shown. */
static int parse_smtp_url(const char *text, DeliveryConfig *c)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        char *host, *url;
        int r;

        if (!u)
                return -ENOMEM;
        if ((!startswith(text, "smtp://") && !startswith(text, "smtps://")) ||
            curl_url_set(u, CURLUPART_URL, text, 0) != CURLUE_OK)
                return -EINVAL;
        r = take_part(u, CURLUPART_USER, &c->smtp_user);
        if (r >= 0)
                r = take_part(u, CURLUPART_PASSWORD, &c->smtp_password);
        if (r >= 0 && !c->smtp_password)
                r = load_password(&c->smtp_password);
        if (r < 0)
                return r;
        if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
                return -EINVAL;
        if (*host == '[')
                host[strlen(host) - 1] = '\0';
        c->smtp_local = host_is_loopback(*host == '[' ? host + 1 : host);
        curl_free(host);
        if (curl_url_get(u, CURLUPART_URL, &url, 0) != CURLUE_OK)
                return -EINVAL;
        c->smtp_url = strdup(url);
        curl_free(url);
        return c->smtp_url ? 0 : -ENOMEM;
}

static int load_mail(const Config *config, DeliveryConfig *c)
{
        int r;

        if (!config->smtp_url)
                return 0;
        r = parse_smtp_url(config->smtp_url, c);
        if (r < 0)
                return log_error_errno(r, "SSI_SMTP_URL must be smtp://HOST or smtps://HOST");
        c->smtp_from = strdup(config->smtp_from);
        if (!c->smtp_from || (config->smtp_ca && !(c->smtp_ca = strdup(config->smtp_ca))))
                return log_oom();
        return 0;
}

int delivery_config_load(const Config *config, DeliveryConfig *ret)
{
        _cleanup_(delivery_config_done) DeliveryConfig c = {
                .timeout = config->notify_timeout,
                .allow_private = config->allow_private_targets,
        };
        int r;

        r = load_mail(config, &c);
        if (r < 0)
                return r;
        if (config->public_url && !(c.public_url = strdup(config->public_url)))
                return log_oom();
        *ret = c;
        c = (DeliveryConfig){};
        return 0;
}
