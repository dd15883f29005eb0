/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notify/channel.h"

#define TITLE_MAX     ((size_t) 200)
#define TEXT_MAX      ((size_t) 2000)
#define LIFETIME_TEXT "86400" /* s that the push service keeps it for a browser that is offline */

/* The data that the dashboard's service worker shows. On the screen, a later message of a subject replaces
 * the earlier one. */
static int push_text(NotifyMessage *m, size_t max, char **ret)
{
        _cleanup_free_ char *title = utf8_sanitize(m->title, strlen(m->title), TITLE_MAX, NULL), *tag = NULL,
                            *text = NULL;
        _cleanup_json_ json_object *o = json_object_new_object();
        size_t n = strlen(m->text);

        if (asprintf(&tag, "%s/%s/%s", notify_message_lookup("server_id", m), notify_message_lookup("service", m),
                     notify_message_kind(m)) < 0)
                tag = NULL;
        /* Cut between two characters. */
        if (n > max)
                for (n = max; n > 0 && ((unsigned char) m->text[n] & 0xc0) == 0x80;)
                        n--;
        text = memdup_string(m->text, n);
        if (!title || !tag || !text || !o || json_add_string(o, "id", m->id) < 0 ||
            json_add_string(o, "title", title) < 0 || json_add_string(o, "body", text) < 0 ||
            json_add_string(o, "url", m->url) < 0 || json_add_string(o, "tag", tag) < 0 ||
            json_add_int64(o, "severity", notify_message_severity(m)) < 0)
                return -ENOMEM;
        *ret = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        return *ret ? 0 : -ENOMEM;
}

/* As much of the text as a push service accepts; escapes may make it longer. */
static int encrypt_message(NotifyMessage *m, const PushTarget *target, HttpMessage *request)
{
        int r = -EMSGSIZE;

        for (size_t max = TEXT_MAX; r == -EMSGSIZE && max > 0; max /= 2) {
                _cleanup_free_ char *text = NULL;

                r = push_text(m, max, &text);
                if (r >= 0)
                        r = web_push_encrypt(target, text, strlen(text), request->body, &request->n_body);
        }
        return r;
}

int push_request(const char *endpoint, const char *p256dh, const char *auth, const VapidKey *key, const char *subject,
                 NotifyMessage *m, uint64_t now, HttpMessage *ret)
{
        _cleanup_(http_message_done) HttpMessage request = { .method = "POST" };
        _cleanup_free_ char *authorization = NULL;
        PushTarget target;
        int r;

        r = push_target_parse(p256dh, auth, &target);
        if (r >= 0)
                r = vapid_authorization(key, endpoint, subject, now, &authorization);
        if (r < 0)
                return r;
        request.url = strdup(endpoint);
        request.body = malloc(WEB_PUSH_BODY_MAX);
        if (!request.url || !request.body)
                return -ENOMEM;
        r = encrypt_message(m, &target, &request);
        if (r < 0)
                return r;

        const struct {
                const char *name, *value;
        } headers[] = {
                { "Authorization", authorization },
                { "Content-Type", "application/octet-stream" },
                { "Content-Encoding", "aes128gcm" },
                { "TTL", LIFETIME_TEXT },
                { "Urgency", notify_message_severity(m) >= 3 ? "high" : "normal" },
                /* A resent message replaces the one that the push service still holds. */
                { "Topic", m->id },
        };

        for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
                r = http_message_add_header(&request, headers[i].name, headers[i].value);
                if (r < 0)
                        return r;
        }
        *ret = request;
        request = (HttpMessage){};
        return 0;
}
