/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <curl/curl.h>
#include <stdarg.h>

#include "admin/first-host.h"

#define ANSWER_MAX      ((size_t) 256 * 1024)
#define CONNECT_SECONDS 10L
#define ANSWER_SECONDS  60L

DEFINE_CLEANUP(CURL *, curl_easy_cleanup);

bool first_host_address_is_valid(const char *s)
{
        const char *host = startswith(s, "https://");
        size_t n = host ? strlen(host) : 0;

        return n > 0 && n < 300 && host[0] != ':' &&
               strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") == n;
}

typedef struct Answer {
        char *text;
        size_t n;
} Answer;

static void answer_done(Answer *a)
{
        if (a->text)
                explicit_bzero(a->text, a->n);
        free(a->text);
}

static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
        Answer *a = userdata;
        char *grown;

        n *= size;
        if (a->n + n > ANSWER_MAX)
                return 0;
        grown = realloc(a->text, a->n + n + 1);
        if (!grown)
                return 0;
        memcpy(grown + a->n, data, n);
        a->text = grown;
        a->n += n;
        return n;
}

/* A pinned key takes the place of a certificate that others vouch for. Nor does an authority's certificate name the address, which is
 * this host's own way there: what is sent is no secret, and what comes back is proved by itself. */
static int set_trust(CURL *curl, const FirstHost *h)
{
        if (curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, h->pin ? 0L : 1L) != CURLE_OK)
                return -ENOMEM;
        if (h->pin)
                return curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, h->pin) == CURLE_OK ? 0 : -ENOMEM;
        return curl_easy_setopt(curl, CURLOPT_CAINFO, h->ca) == CURLE_OK &&
                               curl_easy_setopt(curl, CURLOPT_CAPATH, (char *) NULL) == CURLE_OK ?
                       0 :
                       -ENOMEM;
}

static int set_options(CURL *curl, const char *url, const char *body, struct curl_slist *headers, Answer *answer)
{
        if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_PROXY, "") != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_TIMEOUT, ANSWER_SECONDS) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

static _printf_(2, 3) void say(char **ret_message, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_message, format, ap) < 0)
                *ret_message = NULL;
        va_end(ap);
}

static int fail(const FirstHost *h, CURLcode code, char **ret_message)
{
        if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH) {
                say(ret_message,
                    "%s has another key than the pinned one: nothing was sent. Is it the right host? If a proxy is in "
                    "between, use the address of the backend itself.",
                    h->address);
                return FIRST_HOST_OTHER_KEY;
        }
        say(ret_message, "Cannot reach %s: %s", h->address, curl_easy_strerror(code));
        return FIRST_HOST_UNREACHABLE;
}

int first_host_post(const FirstHost *h, const char *path, json_object *body, long *ret_status, json_object **ret_answer,
                    char **ret_message)
{
        const char *text = json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN);
        struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
        _cleanup_(curl_easy_cleanupp) CURL *curl = curl_easy_init();
        _cleanup_json_ json_object *o = NULL;
        _cleanup_(answer_done) Answer answer = {};
        _cleanup_free_ char *url = NULL;
        CURLcode code = CURLE_OUT_OF_MEMORY;
        long status = 0;

        if (asprintf(&url, "%s%s", h->address, path) < 0)
                url = NULL;
        if (curl && headers && text && url && set_trust(curl, h) >= 0 &&
            set_options(curl, url, text, headers, &answer) >= 0)
                code = curl_easy_perform(curl);
        curl_slist_free_all(headers);
        if (code != CURLE_OK)
                return fail(h, code, ret_message);
        (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (json_parse(answer.text ?: "", answer.n, &o) < 0 || !json_object_is_type(o, json_type_object)) {
                say(ret_message, "%s is not a backend: it answered with %ld.", h->address, status);
                return FIRST_HOST_NO_BACKEND;
        }
        *ret_status = status;
        *ret_answer = TAKE_PTR(o);
        return 0;
}
