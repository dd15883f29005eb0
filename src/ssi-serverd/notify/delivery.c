/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/socket.h>
#include <time.h>

#include "notify/address-guard.h"
#include "notify/delivery.h"
#include "notify/mail-header.h"

#define CONNECT_TIMEOUT_SEC 10L
#define ANSWER_MAX          ((size_t) 64 * 1024)
#define RETRY_AFTER_MAX     3600

typedef struct Delivery {
        CURL *easy;
        const DeliveryConfig *config;
        HttpMessage http;
        struct curl_slist *recipients, *mail_headers;
        curl_mime *mime;
        size_t received;
        /* By the guard, for at least one of the receiver's addresses. libcurl tries several at a time, so either may come
         * first. */
        bool refused, allowed;
        char error[CURL_ERROR_SIZE];
        delivery_done_t done;
        void *userdata;
} Delivery;

void http_message_done(HttpMessage *m)
{
        free(m->url);
        curl_slist_free_all(m->headers);
        free(m->body);
        *m = (HttpMessage){};
}

static int slist_add(struct curl_slist **list, const char *name, const char *value)
{
        _cleanup_free_ char *line = NULL;
        struct curl_slist *l;

        if (asprintf(&line, "%s: %s", name, value) < 0) {
                line = NULL;
                return -ENOMEM;
        }
        l = curl_slist_append(*list, line);
        if (!l)
                return -ENOMEM;
        *list = l;
        return 0;
}

int http_message_add_header(HttpMessage *m, const char *name, const char *value)
{
        return slist_add(&m->headers, name, value);
}

static Delivery *delivery_free(Delivery *d)
{
        if (!d)
                return NULL;
        curl_easy_cleanup(d->easy);
        curl_mime_free(d->mime);
        curl_slist_free_all(d->recipients);
        curl_slist_free_all(d->mail_headers);
        http_message_done(&d->http);
        free(d);
        return NULL;
}
DEFINE_CLEANUP(Delivery *, delivery_free);

static void judge_http(Delivery *d, CURLcode code, DeliveryResult *r)
{
        curl_off_t retry_after = 0;
        long status = 0;

        (void) curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
        /* An answer that was cut off for its size has still delivered its status. */
        if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && d->received > ANSWER_MAX))
                return;
        r->ok = status >= 200 && status < 300;
        r->gone = status == 404 || status == 410;
        if (curl_easy_getinfo(d->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0)
                r->retry_after = (unsigned) MIN(retry_after, (curl_off_t) RETRY_AFTER_MAX);
        if (!r->ok)
                snprintf(r->detail, sizeof(r->detail), "The receiver answered %ld.%s", status,
                         status >= 300 && status < 400 ? " Redirects are not followed." : "");
}

static void judge_mail(Delivery *d, CURLcode code, DeliveryResult *r)
{
        long status = 0;

        r->ok = code == CURLE_OK;
        (void) curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
        if (!r->ok && status >= 400)
                snprintf(r->detail, sizeof(r->detail), "The mail server answered %ld%s%.180s.", status,
                         d->error[0] ? ": " : "", d->error);
}

static void delivery_done(CURL *easy, CURLcode code, void *userdata)
{
        Delivery *d = userdata;
        DeliveryResult r = {};

        if (d->refused && !d->allowed) {
                r.permanent = true;
                snprintf(r.detail, sizeof(r.detail),
                         "The receiver's address is not public (SSI_ALLOW_PRIVATE_TARGETS=yes permits it).");
        } else if (d->mime)
                judge_mail(d, code, &r);
        else
                judge_http(d, code, &r);
        if (!r.ok && r.detail[0] == '\0')
                snprintf(r.detail, sizeof(r.detail), "%.200s.", d->error[0] ? d->error : curl_easy_strerror(code));
        d->done(&r, d->userdata);
        delivery_free(d);
}

static size_t on_answer(char *data, size_t size, size_t n, void *userdata)
{
        Delivery *d = userdata;

        d->received += size * n;
        return d->received > ANSWER_MAX ? 0 : size * n;
}

static curl_socket_t on_open(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
        Delivery *d = userdata;

        if (!d->config->allow_private && !address_is_public(&address->addr)) {
                d->refused = true;
                return CURL_SOCKET_BAD;
        }
        d->allowed = true;
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int delivery_new(const DeliveryConfig *c, delivery_done_t done, void *userdata, Delivery **ret)
{
        _cleanup_(delivery_freep) Delivery *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->config = c;
        d->done = done;
        d->userdata = userdata;
        d->easy = curl_easy_init();
        if (!d->easy)
                return -ENOMEM;
        /* A new connection each time: on a kept connection, libcurl would resend a request that the other
         * side may have accepted just before it closed. */
        if (curl_easy_setopt(d->easy, CURLOPT_ERRORBUFFER, d->error) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_FORBID_REUSE, 1L) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_TIMEOUT, (long) c->timeout) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_CONNECTTIMEOUT, MIN(CONNECT_TIMEOUT_SEC, (long) c->timeout)) !=
                    CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_PROXY, "") != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_WRITEFUNCTION, on_answer) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_WRITEDATA, d) != CURLE_OK)
                return -ENOMEM;
        *ret = TAKE_PTR(d);
        return 0;
}

static int delivery_start(CurlLoop *l, Delivery *d_taken)
{
        _cleanup_(delivery_freep) Delivery *d = d_taken;
        int r;

        r = curl_loop_add(l, d->easy, delivery_done, d);
        if (r < 0)
                return r;
        TAKE_PTR(d);
        return 0;
}

int delivery_http(CurlLoop *l, const DeliveryConfig *c, HttpMessage *m_taken, delivery_done_t done, void *userdata)
{
        _cleanup_(http_message_done) HttpMessage m = *m_taken;
        _cleanup_(delivery_freep) Delivery *d = NULL;
        int r;

        *m_taken = (HttpMessage){};
        r = delivery_new(c, done, userdata, &d);
        if (r < 0)
                return r;
        d->http = m;
        m = (HttpMessage){};
        r = http_message_add_header(&d->http, "User-Agent", "ssi-serverd/" SSI_VERSION);
        if (r < 0)
                return r;
        if (curl_easy_setopt(d->easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_OPENSOCKETFUNCTION, on_open) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_OPENSOCKETDATA, d) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) d->http.n_body) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_POSTFIELDS, d->http.body) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_CUSTOMREQUEST, d->http.method) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_HTTPHEADER, d->http.headers) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_URL, d->http.url) != CURLE_OK)
                return -EINVAL;
        return delivery_start(l, TAKE_PTR(d));
}

/* RFC 5322, 3.3, in any locale. */
static void format_date(char buf[static 48])
{
        static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
        static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
        time_t now = time(NULL);
        struct tm tm;

        gmtime_r(&now, &tm);
        snprintf(buf, 48, "%s, %02d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* The part between the angle brackets, or everything. The caller frees it. */
static char *bare_address(const char *s)
{
        const char *open = strrchr(s, '<'), *close = open ? strchr(open, '>') : NULL;

        return close ? memdup_string(open + 1, (size_t) (close - open - 1)) : strdup(s);
}

static int add_mail_headers(Delivery *d, const MailMessage *m, const char *from)
{
        _cleanup_free_ char *subject = mail_header_encode(m->subject), *id = NULL, *to = NULL;
        const char *domain = strrchr(from, '@');
        char date[48];
        int r;

        if (!subject || asprintf(&id, "<%s@%s>", m->id, domain ? domain + 1 : "localhost") < 0) {
                id = NULL;
                return -ENOMEM;
        }
        if (asprintf(&to, "<%s>", m->to) < 0) {
                to = NULL;
                return -ENOMEM;
        }
        format_date(date);

        const struct {
                const char *name, *value;
        } fields[] = {
                { "Date", date },     { "From", d->config->smtp_from }, { "To", to },
                { "Message-ID", id }, { "Subject", subject },           { "Auto-Submitted", "auto-generated" },
        };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                r = slist_add(&d->mail_headers, fields[i].name, fields[i].value);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Lines end with CR LF in mails; drops the text's own CRs. */
static char *to_crlf(const char *s)
{
        char *copy = malloc(2 * strlen(s) + 3), *p = copy;

        if (!copy)
                return NULL;
        for (; *s; s++) {
                if (*s == '\n')
                        *p++ = '\r';
                if (*s != '\r')
                        *p++ = *s;
        }
        strcpy(p, "\r\n");
        return copy;
}

static int add_mail_body(Delivery *d, const MailMessage *m)
{
        _cleanup_free_ char *text = to_crlf(m->text);
        curl_mimepart *part;

        d->mime = curl_mime_init(d->easy);
        part = d->mime ? curl_mime_addpart(d->mime) : NULL;
        if (!text || !part || curl_mime_data(part, text, CURL_ZERO_TERMINATED) != CURLE_OK ||
            curl_mime_type(part, "text/plain; charset=utf-8") != CURLE_OK ||
            curl_mime_encoder(part, "quoted-printable") != CURLE_OK)
                return -ENOMEM;
        return curl_easy_setopt(d->easy, CURLOPT_MIMEPOST, d->mime) == CURLE_OK ? 0 : -ENOMEM;
}

static int set_mail_server(CURL *easy, const DeliveryConfig *c)
{
        if (curl_easy_setopt(easy, CURLOPT_URL, c->smtp_url) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_USE_SSL, (long) (c->smtp_local ? CURLUSESSL_TRY : CURLUSESSL_ALL)) !=
                    CURLE_OK)
                return -EINVAL;
        if (c->smtp_user && (curl_easy_setopt(easy, CURLOPT_USERNAME, c->smtp_user) != CURLE_OK ||
                             curl_easy_setopt(easy, CURLOPT_PASSWORD, strempty(c->smtp_password)) != CURLE_OK))
                return -EINVAL;
        if (c->smtp_ca && curl_easy_setopt(easy, CURLOPT_CAINFO, c->smtp_ca) != CURLE_OK)
                return -EINVAL;
        return 0;
}

int delivery_mail(CurlLoop *l, const DeliveryConfig *c, const MailMessage *m, delivery_done_t done, void *userdata)
{
        _cleanup_(delivery_freep) Delivery *d = NULL;
        _cleanup_free_ char *from = NULL;
        int r;

        if (!delivery_has_mail(c))
                return -EOPNOTSUPP;
        r = delivery_new(c, done, userdata, &d);
        if (r < 0)
                return r;
        from = bare_address(c->smtp_from);
        d->recipients = curl_slist_append(NULL, m->to);
        if (!from || !d->recipients)
                return -ENOMEM;
        r = set_mail_server(d->easy, c);
        if (r >= 0)
                r = add_mail_headers(d, m, from);
        if (r >= 0)
                r = add_mail_body(d, m);
        if (r < 0)
                return r;
        if (curl_easy_setopt(d->easy, CURLOPT_MAIL_FROM, from) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_MAIL_RCPT, d->recipients) != CURLE_OK ||
            curl_easy_setopt(d->easy, CURLOPT_HTTPHEADER, d->mail_headers) != CURLE_OK)
                return -ENOMEM;
        return delivery_start(l, TAKE_PTR(d));
}
