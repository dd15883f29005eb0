/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sends one message to one place, once: by HTTP or SMTP, through libcurl in the event loop. The caller
 * retries. */

#include "config/config.h"
#include "loop/curl-loop.h"

typedef struct DeliveryConfig {
        char *smtp_url; /* smtp:// or smtps://, without user and password; NULL: no mail */
        bool smtp_local; /* this machine: TLS is optional. To others, the password and mails would be readable without it */
        char *smtp_user, *smtp_password;
        char *smtp_from;    /* "ssi@example.org" or "SSI <ssi@example.org>" */
        char *smtp_ca;      /* PEM file; NULL: the system's */
        char *public_url;   /* of the dashboard, without a trailing slash; NULL: no links */
        bool allow_private; /* HTTP may reach this machine and private networks */
        unsigned timeout;   /* s, for one whole delivery */
} DeliveryConfig;

/* Takes the settings from config (ssi-serverd(8)) and credentials. Logs its errors. */
int delivery_config_load(const Config *config, DeliveryConfig *ret);
void delivery_config_done(DeliveryConfig *c);

static inline bool delivery_has_mail(const DeliveryConfig *c)
{
        return c->smtp_url && c->smtp_from;
}

typedef struct DeliveryResult {
        bool ok;
        bool permanent;       /* a retry will not help */
        bool gone;            /* HTTP 404 or 410 */
        unsigned retry_after; /* s; requested by the receiver, or 0 */
        char detail[256];     /* a sentence for people, unless ok */
} DeliveryResult;

typedef void (*delivery_done_t)(const DeliveryResult *result, void *userdata);

typedef struct HttpMessage {
        const char *method; /* "POST" or "PUT" */
        char *url;
        struct curl_slist *headers;
        void *body;
        size_t n_body;
} HttpMessage;

void http_message_done(HttpMessage *m);
/* Adds "name: value". -ENOMEM. */
int http_message_add_header(HttpMessage *m, const char *name, const char *value);

/* Takes ownership of the message in any case. done is called exactly once, from the event loop, unless this
 * returns an error. Of the receiver's answer only the status is kept. Redirects are not followed. */
int delivery_http(CurlLoop *l, const DeliveryConfig *c, HttpMessage *m_taken, delivery_done_t done, void *userdata);

typedef struct MailMessage {
        const char *id; /* makes the Message-ID */
        const char *to;
        const char *subject; /* any UTF-8 */
        const char *text;    /* the same */
} MailMessage;

/* Copies the message. Otherwise as above; -EOPNOTSUPP if no mail server is configured. */
int delivery_mail(CurlLoop *l, const DeliveryConfig *c, const MailMessage *m, delivery_done_t done, void *userdata);
