/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notify/message.h"

#define DIGEST_LINES_MAX 50

typedef struct Wording {
        const char *kind, *value; /* value NULL: any other value */
        const char *title;        /* arguments: the service and the server */
} Wording;

static const Wording wordings[] = {
        { "status", "OK", "OK: %s on %s" },           { "status", "UPDATE", "UPDATE: %s on %s" },
        { "status", "WARNING", "WARNING: %s on %s" }, { "status", "FAILURE", "FAILURE: %s on %s" },
        { "error", "none", "RUNS AGAIN: %s on %s" },  { "error", NULL, "ERROR: %s on %s" },
        { "stale", "stale", "STALE: %s on %s" },      { "stale", NULL, "REPORTS AGAIN: %s on %s" },
};

static const char *string_of(json_object *o, const char *key)
{
        return strempty(json_get_string(o, key));
}

/* "FAILURE: Root Disk on web-01". The caller frees it. */
static char *title_of(json_object *change)
{
        const char *kind = string_of(change, "kind"), *value = string_of(change, "new"), *format = NULL;
        const char *server = string_of(change, "server"), *service = string_of(change, "title");
        char *s;
        int r;

        if (streq(kind, "hosts"))
                r = asprintf(&s, "%s: %s", streq(value, "duplicate") ? "TWO HOSTS" : "BACK AGAIN", server);
        else if (streq(kind, "state"))
                r = asprintf(&s, "%s: %s", streq(value, "offline") ? "OFFLINE" : "ONLINE", server);
        else {
                for (size_t i = 0; i < ELEMENTSOF(wordings) && !format; i++)
                        if (streq(kind, wordings[i].kind) && (!wordings[i].value || streq(value, wordings[i].value)))
                                format = wordings[i].title;
                if (!format)
                        return NULL;
                if (service[0] == '\0')
                        service = string_of(change, "service");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                r = asprintf(&s, format, service, server);
#pragma GCC diagnostic pop
        }
        return r < 0 ? NULL : s;
}

/* Describes the change in a sentence. */
static void write_change(FILE *f, json_object *change, const char *at)
{
        const char *kind = string_of(change, "kind"), *old = string_of(change, "old");
        const char *value = string_of(change, "new"), *message = string_of(change, "message");
        int64_t n;

        if (message[0] != '\0')
                fprintf(f, "%s\n", message);
        if (streq(kind, "status"))
                fprintf(f, "Changed from %s to %s at %s.\n", old, value, at);
        else if (streq(kind, "error"))
                fprintf(f, streq(value, "none") ? "The check returns results again.\n" : "The check broke at %s.\n",
                        at);
        else if (streq(kind, "stale") && streq(value, "stale"))
                fprintf(f, "Its result has been missing since %s.\n", at);
        else if (streq(kind, "state") && streq(value, "offline")) {
                fprintf(f, "The host was last seen at %s.", at);
                if (json_get_int64(change, "services", &n) >= 0 && n > 0)
                        fprintf(f, " The state of its %lld services is unknown until it returns.", (long long) n);
                fputc('\n', f);
        }
        if (json_get_int64(change, "merged", &n) >= 0 && n > 1)
                fprintf(f, "This message covers %lld changes.\n", (long long) n);
}

static void write_digest(FILE *f, json_object *payload)
{
        json_object *items = json_get_array(payload, "items");
        size_t n = items ? json_object_array_length(items) : 0;
        int64_t recovered = 0;

        for (size_t i = 0; i < n && i < DIGEST_LINES_MAX; i++) {
                json_object *item = json_object_array_get_idx(items, i);
                _cleanup_free_ char *title = title_of(item);
                const char *message = string_of(item, "message");

                fprintf(f, "%s%s%s\n", strempty(title), message[0] != '\0' ? ": " : "", message);
        }
        if (n > DIGEST_LINES_MAX)
                fprintf(f, "and %zu more\n", n - DIGEST_LINES_MAX);
        if (json_get_int64(payload, "recovered", &recovered) >= 0 && recovered > 0)
                fprintf(f, "%lld more occurred and recovered.\n", (long long) recovered);
}

static char *digest_title(json_object *payload)
{
        json_object *items = json_get_array(payload, "items");
        size_t n = items ? json_object_array_length(items) : 0;
        char *s;

        return asprintf(&s, "%zu change%s during quiet hours", n, n == 1 ? "" : "s") < 0 ? NULL : s;
}

static char *make_url(json_object *payload, const char *public_url)
{
        const char *server = json_get_string(payload, "server_id"), *service = json_get_string(payload, "service");
        char *s;
        int r;

        if (!public_url)
                return strdup("");
        if (!server)
                r = asprintf(&s, "%s/", public_url);
        else if (!service)
                r = asprintf(&s, "%s/servers/%s", public_url, server);
        else
                r = asprintf(&s, "%s/servers/%s/services/%s", public_url, server, service);
        return r < 0 ? NULL : s;
}

static char *join_labels(json_object *payload)
{
        json_object *labels = json_get_array(payload, "labels");
        char *text = NULL;
        size_t n;
        FILE *f;

        f = open_memstream(&text, &n);
        if (!f)
                return NULL;
        for (size_t i = 0; labels && i < json_object_array_length(labels); i++)
                fprintf(f, "%s%s", i > 0 ? ", " : "", json_object_get_string(json_object_array_get_idx(labels, i)));
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static char *make_text(const NotifyMessage *m)
{
        const char *kind = notify_message_kind(m);
        char *text = NULL;
        size_t n;
        FILE *f;

        f = open_memstream(&text, &n);
        if (!f)
                return NULL;
        if (streq(kind, "digest"))
                write_digest(f, m->payload);
        else if (streq(kind, "test"))
                fputs("This is a test. If you can read this, the channel works.\n", f);
        else
                write_change(f, m->payload, m->at);
        if (m->url[0] != '\0')
                fprintf(f, "%s\n", m->url);
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        n = strlen(text);
        if (n > 0 && text[n - 1] == '\n')
                text[n - 1] = '\0';
        return text;
}

int notify_message_new(const char *id, const char *payload, const char *public_url, NotifyMessage *ret)
{
        _cleanup_(notify_message_done) NotifyMessage m = {};
        const char *kind;
        int r;

        r = json_parse(payload, strlen(payload), &m.payload);
        if (r < 0)
                return r;
        m.at = strdup(json_get_string(m.payload, "at_words") ?: string_of(m.payload, "at"));
        json_object_object_del(m.payload, "at_words");
        kind = notify_message_kind(&m);
        if (streq(kind, "digest"))
                m.title = digest_title(m.payload);
        else if (streq(kind, "test"))
                m.title = strdup("Test of Service Status Indicator");
        else if (notify_is_account_mail(kind))
                m.title = strdup(kind);
        else
                m.title = title_of(m.payload);
        if (!m.title)
                return -EBADMSG;
        m.id = strdup(id);
        m.url = make_url(m.payload, public_url);
        m.labels = join_labels(m.payload);
        m.text = m.url && m.at ? make_text(&m) : NULL;
        if (!m.id || !m.labels || !m.text)
                return -ENOMEM;
        *ret = m;
        m = (NotifyMessage){};
        return 0;
}

void notify_message_done(NotifyMessage *m)
{
        free(m->id);
        json_object_put(m->payload);
        free(m->title);
        free(m->text);
        free(m->url);
        free(m->labels);
        free(m->at);
        *m = (NotifyMessage){};
}

int notify_message_severity(const NotifyMessage *m)
{
        int64_t n;

        return json_get_int64(m->payload, "severity", &n) >= 0 && n >= 0 && n <= 3 ? (int) n : 0;
}

bool notify_is_account_mail(const char *kind)
{
        static const char *const kinds[] = { "verify", "reset",    "taken",   "password", "token",     "device",
                                             "change", "changing", "changed", "moved",    "invitation" };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (streq(kind, kinds[i]))
                        return true;
        return false;
}

const char *notify_message_kind(const NotifyMessage *m)
{
        return string_of(m->payload, "kind");
}

const char *notify_message_lookup(const char *name, void *userdata)
{
        static const char *const payload_keys[] = { "kind",    "message", "server", "server_id",
                                                    "service", "old",     "new",    "at" };
        NotifyMessage *m = userdata;

        if (streq(name, "id"))
                return m->id;
        if (streq(name, "title"))
                return m->title;
        if (streq(name, "text"))
                return m->text;
        if (streq(name, "url"))
                return m->url;
        if (streq(name, "labels"))
                return m->labels;
        if (streq(name, "severity") || streq(name, "priority")) {
                int severity = notify_message_severity(m);

                snprintf(m->number, sizeof(m->number), "%d",
                         name[0] == 's' ? severity :
                         severity < 2   ? 3 :
                                          severity + 2);
                return m->number;
        }
        for (size_t i = 0; i < ELEMENTSOF(payload_keys); i++)
                if (streq(name, payload_keys[i]))
                        return string_of(m->payload, name);
        return NULL;
}
