/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "core/changes.h"

#define PAYLOAD_MAX 7900

/* A payload is the instance's name, then a line per change: kind, user, server and argument (or "-"),
 * separated by single spaces. Neither ids nor slugs contain spaces. */

/* One allocation for many strings: a change has three, and each commit of results makes hundreds. */
#define TEXT_SIZE 8000

struct ChangesText {
        ChangesText *next;
        size_t used, size;
        char text[];
};

/* A copy, or the previous change's string if it is equal. NULL: out of memory. */
static const char *keep(Changes *c, const char *before, const char *s)
{
        size_t n = strlen(s) + 1;
        ChangesText *t = c->texts;
        char *copy;

        if (before && streq(before, s))
                return before;
        if (!t || t->size - t->used < n) {
                size_t size = MAX(n, (size_t) TEXT_SIZE);

                t = malloc(sizeof(*t) + size);
                if (!t)
                        return NULL;
                t->used = 0;
                t->size = size;
                LL_PREPEND(c->texts, t);
        }
        copy = memcpy(t->text + t->used, s, n);
        t->used += n;
        return copy;
}

int changes_add(Changes *c, ChangeKind kind, const char *user, const char *server, const char *arg)
{
        const Change *before = c->n > 0 ? &c->items[c->n - 1] : NULL;
        Change change = {
                .kind = kind,
                .user = keep(c, before ? before->user : NULL, user),
                .server = keep(c, before ? before->server : NULL, server),
                .arg = arg ? keep(c, NULL, arg) : NULL,
        };

        if (!change.user || !change.server || (arg && !change.arg))
                return -ENOMEM;
        if (c->n == c->allocated) {
                size_t want = MAX(c->allocated * 2, (size_t) 16);
                Change *p = reallocarray(c->items, want, sizeof(*p));

                if (!p)
                        return -ENOMEM;
                c->items = p;
                c->allocated = want;
        }
        c->items[c->n++] = change;
        return 0;
}

void changes_clear(Changes *c)
{
        ChangesText *t, *next;

        LL_FOREACH_SAFE(c->texts, t, next)
                free(t);
        free(c->items);
        *c = (Changes){};
}

void payloads_free(char **payloads, size_t n)
{
        for (size_t i = 0; payloads && i < n; i++)
                free(payloads[i]);
        free(payloads);
}

/* Appends a payload that starts with the instance's name to the array. */
static int payload_begin(char ***payloads, size_t *n, const char *instance, size_t *ret_length)
{
        char **p, *text;

        p = reallocarray(*payloads, *n + 1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        *payloads = p;
        text = malloc(PAYLOAD_MAX + 1);
        if (!text)
                return -ENOMEM;
        p[(*n)++] = text;
        *ret_length = (size_t) snprintf(text, PAYLOAD_MAX, "%s\n", instance);
        return 0;
}

int changes_encode(const Changes *c, const char *instance, char ***ret, size_t *ret_n)
{
        size_t n = 0, length = PAYLOAD_MAX;
        char **payloads = NULL;
        int r = 0;

        for (size_t i = 0; i < c->n && r >= 0; i++) {
                const Change *change = &c->items[i];
                size_t need = strlen(change->user) + strlen(change->server) + strlen(change->arg ?: "-") + 6;

                if (need > PAYLOAD_MAX / 2)
                        r = -EMSGSIZE;
                else if (length + need > PAYLOAD_MAX)
                        r = payload_begin(&payloads, &n, instance, &length);
                if (r >= 0)
                        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is a payload when r >= 0 */
                        length += (size_t) snprintf(payloads[n - 1] + length, PAYLOAD_MAX + 1 - length, "%c %s %s %s\n",
                                                    change->kind, change->user, change->server, change->arg ?: "-");
        }
        if (r < 0) {
                payloads_free(payloads, n);
                return r;
        }
        *ret = payloads;
        *ret_n = n;
        return 0;
}

bool changes_is_from(const char *payload, const char *instance)
{
        size_t n = strlen(instance);

        return strncmp(payload, instance, n) == 0 && (payload[n] == '\n' || payload[n] == '\0');
}

static bool is_kind(char c)
{
        return c != '\0' && strchr("svrdalemq", c);
}

static int decode_line(char *line, Changes *changes)
{
        char *user, *server, *arg;

        if (!is_kind(line[0]) || line[1] != ' ')
                return -EBADMSG;
        user = line + 2;
        server = strchr(user, ' ');
        arg = server ? strchr(server + 1, ' ') : NULL;
        if (!arg)
                return -EBADMSG;
        *server++ = '\0';
        *arg++ = '\0';
        return changes_add(changes, (ChangeKind) line[0], user, server, streq(arg, "-") ? NULL : arg);
}

int changes_decode(const char *payload, char instance[static INSTANCE_ID_MAX], Changes *ret)
{
        _cleanup_(changes_clear) Changes changes = {};
        _cleanup_free_ char *copy = NULL;
        char *save = NULL, *line;
        int r;

        copy = strdup(payload);
        if (!copy)
                return -ENOMEM;
        line = strtok_r(copy, "\n", &save);
        if (!line || strlen(line) >= INSTANCE_ID_MAX)
                return -EBADMSG;
        for (char *next = strtok_r(NULL, "\n", &save); next; next = strtok_r(NULL, "\n", &save)) {
                r = decode_line(next, &changes);
                if (r < 0)
                        return r;
        }
        strcpy(instance, line);
        changes_clear(ret);
        *ret = changes;
        changes = (Changes){};
        return 0;
}
