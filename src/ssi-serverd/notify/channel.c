/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/rules.h"
#include "notify/channel-type.h"
#include "notify/channel.h"

#define VALUE_MAX   ((size_t) 2048)
#define HEADERS_MAX 16

/* The receivers take the fields with our texts as plain: no markup, no mentions. */
static const ChannelType types[] = {
        {
                .name = "email",
                .values = { { "address", VALUE_EMAIL, true } },
        },
        {
                .name = "push",
        },
        {
                .name = "webhook",
                .method = "POST",
                .values = { { "url", VALUE_SECRET_URL, true },
                            { "method", VALUE_METHOD, false },
                            { "headers", VALUE_HEADERS, false },
                            { "template", VALUE_TEMPLATE, false } },
        },
        {
                .name = "ntfy",
                .method = "POST",
                .default_url = "https://ntfy.sh",
                .path = "/",
                .template = "{\"topic\":\"{{topic}}\",\"title\":\"{{title}}\",\"message\":\"{{text}}\","
                            "\"priority\":{{priority}},\"click\":\"{{url}}\"}",
                .values = { { "topic", VALUE_TOKEN, true },
                            { "url", VALUE_URL, false },
                            { "token", VALUE_TOKEN, false } },
        },
        {
                .name = "slack",
                .method = "POST",
                .template = "{\"text\":\"{{title}}\\n{{text}}\",\"mrkdwn\":false}",
                .escape = TEMPLATE_MARKUP,
                .values = { { "url", VALUE_SECRET_URL, true } },
        },
        {
                .name = "matrix",
                .method = "PUT",
                .path = "/_matrix/client/v3/rooms/{{room}}/send/m.room.message/{{id}}",
                .template = "{\"msgtype\":\"m.text\",\"body\":\"{{title}}\\n{{text}}\",\"m.mentions\":{}}",
                .values = { { "url", VALUE_URL, true }, { "room", VALUE_TEXT, true }, { "token", VALUE_TOKEN, true } },
        },
        {
                .name = "telegram",
                .method = "POST",
                .default_url = "https://api.telegram.org",
                .path = "/bot{{token}}/sendMessage",
                .template = "{\"chat_id\":\"{{chat_id}}\",\"text\":\"{{title}}\\n{{text}}\","
                            "\"link_preview_options\":{\"is_disabled\":true}}",
                .values = { { "token", VALUE_TOKEN, true },
                            { "chat_id", VALUE_TEXT, true },
                            { "url", VALUE_URL, false } },
        },
};

/* The names that a template may use: the message's, and the config's own texts. */
typedef struct Lookup {
        json_object *config;
        NotifyMessage *message;
} Lookup;

DEFINE_CLEANUP(CURLU *, curl_url_cleanup);

const ChannelType *channel_type_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (streq(types[i].name, name))
                        return &types[i];
        return NULL;
}

const ChannelValue *channel_value_find(const ChannelType *t, const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(t->values) && t->values[i].name; i++)
                if (streq(t->values[i].name, name))
                        return &t->values[i];
        return NULL;
}

static int complain(char **ret_detail, const char *name, const char *what)
{
        return asprintf(ret_detail, "config.%s %s.", name, what) < 0 ? -ENOMEM : -EINVAL;
}

static bool is_printable(const char *s)
{
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        return false;
        return true;
}

/* http or https, with a host, without user and password (a header can carry them). */
static bool url_is_valid(const char *s)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        char *user = NULL;

        if (!u || (!startswith(s, "https://") && !startswith(s, "http://")) || strchr(s, ' ') ||
            curl_url_set(u, CURLUPART_URL, s, 0) != CURLUE_OK)
                return false;
        if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK) {
                curl_free(user);
                return false;
        }
        return true;
}

/* RFC 9110, 5.6.2. */
static bool is_header_name(const char *s)
{
        return *s && s[strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static bool headers_are_valid(json_object *headers)
{
        static const char *const ours[] = { "Host",   "Content-Length",  "Transfer-Encoding", "Connection",
                                            "Expect", "Idempotency-Key", "User-Agent" };

        if (!json_object_is_type(headers, json_type_object) || json_object_object_length(headers) > HEADERS_MAX)
                return false;
        json_object_object_foreach(headers, name, value)
        {
                const char *s = json_get_string(headers, name);

                (void) value;
                if (!is_header_name(name) || isempty(s) || strlen(s) > VALUE_MAX || !is_printable(s))
                        return false;
                for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                        if (strcasecmp(ours[i], name) == 0)
                                return false;
        }
        return true;
}

static const char *lookup(const char *name, void *userdata)
{
        Lookup *l = userdata;
        const char *s = notify_message_lookup(name, l->message);

        return s ?: json_get_string(l->config, name);
}

/* A template must be JSON when rendered with texts that could break it. */
static int check_template(const char *template, char **ret_detail)
{
        static const char sample[] =
                "{\"kind\":\"status\",\"server\":\"a\\\"b\",\"server_id\":\"srv-a\",\"labels\":[\"c\"],"
                "\"service\":\"disk\",\"title\":\"\\\\\",\"old\":\"OK\",\"new\":\"FAILURE\","
                "\"severity\":3,\"message\":\"x\\ny\",\"at\":\"2026-01-01T00:00:00Z\"}";
        _cleanup_(notify_message_done) NotifyMessage m = {};
        _cleanup_free_ char *text = NULL, *part = NULL;
        _cleanup_json_ json_object *o = NULL;
        int r;

        r = notify_message_new("ntf-sample", sample, NULL, &m);
        if (r < 0)
                return r;
        r = template_render(template, TEMPLATE_JSON, notify_message_lookup, &m, &text, &part);
        if (r == -EINVAL) {
                if (asprintf(ret_detail, "config.template has an unknown or unclosed placeholder: %s", strempty(part)) <
                    0)
                        return -ENOMEM;
                return r;
        }
        if (r == -ENOMEM)
                return r;
        if (r < 0 || json_parse(text, strlen(text), &o) < 0)
                return complain(ret_detail, "template", "must be JSON with placeholders only inside strings");
        return 0;
}

static int check_string(const ChannelValue *v, const char *s, char **ret_detail)
{
        if (v->kind != VALUE_TEMPLATE && (isempty(s) || strlen(s) > VALUE_MAX || !is_printable(s)))
                return complain(ret_detail, v->name,
                                "must be a string of 1 to 2048 bytes without control or invisible characters");
        switch (v->kind) {
        case VALUE_URL:
        case VALUE_SECRET_URL:
                return url_is_valid(s) ? 0 :
                                         complain(ret_detail, v->name,
                                                  "must be an http:// or https:// address"
                                                  " without user and password");
        case VALUE_EMAIL:
                return email_is_mailbox(s) ? 0 : complain(ret_detail, v->name, "must be an e-mail address");
        case VALUE_METHOD:
                return streq(s, "POST") || streq(s, "PUT") ? 0 : complain(ret_detail, v->name, "must be POST or PUT");
        case VALUE_TEMPLATE:
                if (isempty(s) || strlen(s) > TEMPLATE_MAX)
                        return complain(ret_detail, v->name, "must be a string of 1 to 16384 bytes");
                return check_template(s, ret_detail);
        default:
                return 0;
        }
}

int channel_config_check(const char *type, json_object *config, char **ret_detail)
{
        const ChannelType *t = channel_type_find(type);
        int r = 0;

        if (!t)
                return asprintf(ret_detail, "The channel type is unknown.") < 0 ? -ENOMEM : -EINVAL;
        json_object_object_foreach(config, name, value)
        {
                const ChannelValue *v = channel_value_find(t, name);

                if (!v)
                        return complain(ret_detail, name, "is not a setting of this channel type");
                if (v->kind == VALUE_HEADERS)
                        r = headers_are_valid(value) ?
                                    0 :
                                    complain(ret_detail, name, "must be an object of at most 16 header fields");
                else
                        r = check_string(v, json_get_string(config, name), ret_detail);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(t->values) && t->values[i].name; i++)
                if (t->values[i].required && !json_get_string(config, t->values[i].name))
                        return complain(ret_detail, t->values[i].name, "is missing");
        return 0;
}

/* The whole message as JSON. */
static int whole_message(NotifyMessage *m, char **ret)
{
        json_object *o = NULL;
        int r = 0;

        if (json_object_deep_copy(m->payload, &o, NULL) < 0)
                return -ENOMEM;
        if (json_add_string(o, "id", m->id) < 0 || json_add_string(o, "subject", m->title) < 0 ||
            json_add_string(o, "text", m->text) < 0 || json_add_string(o, "url", m->url) < 0)
                r = -ENOMEM;
        if (r >= 0) {
                *ret = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
                r = *ret ? 0 : -ENOMEM;
        }
        json_object_put(o);
        return r;
}

static int make_url(const ChannelType *t, Lookup *l, char **ret)
{
        const char *base = json_get_string(l->config, "url") ?: t->default_url;
        _cleanup_free_ char *path = NULL;
        size_t n;
        int r;

        if (!base)
                return -EINVAL;
        if (!t->path) {
                *ret = strdup(base);
                return *ret ? 0 : -ENOMEM;
        }
        r = template_render(t->path, TEMPLATE_URL, lookup, l, &path, NULL);
        if (r < 0)
                return r;
        n = strlen(base);
        while (n > 0 && base[n - 1] == '/')
                n--;
        return asprintf(ret, "%.*s%s", (int) n, base, path) < 0 ? -ENOMEM : 0;
}

static int add_headers(const ChannelType *t, Lookup *l, HttpMessage *m)
{
        json_object *headers = json_get_object(l->config, "headers");
        const char *token = json_get_string(l->config, "token");
        _cleanup_free_ char *bearer = NULL;
        bool has_type = false;
        int r = 0;

        if (headers) {
                json_object_object_foreach(headers, name, value)
                {
                        has_type = has_type || strcasecmp(name, "Content-Type") == 0;
                        r = http_message_add_header(m, name, json_object_get_string(value));
                        if (r < 0)
                                return r;
                }
        }
        if (token && !streq(t->name, "telegram")) {
                if (asprintf(&bearer, "Bearer %s", token) < 0) {
                        bearer = NULL;
                        return -ENOMEM;
                }
                r = http_message_add_header(m, "Authorization", bearer);
        }
        if (r >= 0 && !has_type)
                r = http_message_add_header(m, "Content-Type", "application/json");
        if (r >= 0)
                r = http_message_add_header(m, "Idempotency-Key", l->message->id);
        return r;
}

int channel_request(const char *type, json_object *config, NotifyMessage *m, HttpMessage *ret)
{
        _cleanup_(http_message_done) HttpMessage request = {};
        const ChannelType *t = channel_type_find(type);
        Lookup l = { .config = config, .message = m };
        const char *template;
        char *body = NULL;
        int r;

        if (!t || !t->method)
                return -EINVAL;
        template = t->template ?: json_get_string(config, "template");
        r = template ? template_render(template, t->escape, t->template ? lookup : notify_message_lookup,
                                       t->template ? (void *) &l : (void *) m, &body, NULL) :
                       whole_message(m, &body);
        if (r < 0)
                return r;
        request.body = body;
        request.n_body = strlen(body);
        request.method = json_get_string(config, "method") && streq(json_get_string(config, "method"), "PUT") ?
                                 "PUT" :
                                 t->method;
        r = make_url(t, &l, &request.url);
        if (r >= 0)
                r = add_headers(t, &l, &request);
        if (r < 0)
                return r;
        *ret = request;
        request = (HttpMessage){};
        return 0;
}
