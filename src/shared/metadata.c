/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "shared/metadata.h"
#include "shared/slug.h"

#define PROBLEMS_MAX 100

typedef struct Key {
        const char *name;
        size_t max;                /* of a value, in bytes */
        int (*check)(Metadata *m); /* adds problems of the value; NULL: any text is allowed */
        bool required;
        bool passive;
} Key;

static const Key keys[_METADATA_KEY_MAX];

const char *metadata_key_to_string(MetadataKey k)
{
        return keys[k].name;
}

size_t metadata_key_max(MetadataKey k)
{
        return keys[k].max;
}

bool metadata_key_is_required(MetadataKey k)
{
        return keys[k].required;
}

bool metadata_key_is_passive(MetadataKey k)
{
        return keys[k].passive;
}

bool metadata_passive_fits(const char *key, const char *value, size_t *n, size_t *size)
{
        size_t key_len = strlen(key), value_len = strlen(value);

        if (key_len == 0 || key_len > METADATA_PASSIVE_KEY_MAX || strspn(key, "abcdefghijklmnopqrstuvwxyz-") != key_len)
                return false;
        if (value_len > METADATA_PASSIVE_VALUE_MAX || *n >= METADATA_PASSIVE_MAX ||
            *size + key_len + value_len > METADATA_PASSIVE_SIZE_MAX)
                return false;
        (*n)++;
        *size += key_len + value_len;
        return true;
}

bool metadata_is_privileged(const Metadata *m)
{
        return m->sandbox_off || m->value[METADATA_USER];
}

Metadata *metadata_free(Metadata *m)
{
        if (!m)
                return NULL;
        free(m->slug);
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++)
                free(m->value[k]);
        for (size_t i = 0; i < m->n_problems; i++)
                free(m->problems[i].text);
        free(m->problems);
        free(m);
        return NULL;
}

#define PROBLEM_SIZE_MAX 1024

int metadata_add_problem(Metadata *m, unsigned line, bool warning, const char *format, ...)
{
        _cleanup_free_ char *raw = NULL;
        ScriptProblem *grown;
        va_list ap;
        char *text;
        int r;

        if (!warning)
                m->n_errors++;
        if (m->n_problems >= PROBLEMS_MAX)
                return 0;
        grown = reallocarray(m->problems, m->n_problems + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        m->problems = grown;
        va_start(ap, format);
        r = vasprintf(&raw, format, ap);
        va_end(ap);
        if (r < 0) {
                raw = NULL;
                return -ENOMEM;
        }
        /* The text may quote the script, or a helper's message about it. */
        text = utf8_sanitize(raw, (size_t) r, PROBLEM_SIZE_MAX, NULL);
        if (!text)
                return -ENOMEM;
        m->problems[m->n_problems++] = (ScriptProblem){ .line = line, .warning = warning, .text = text };
        return 0;
}

/* "# key: value" with a key of [a-z][a-z0-9_-]*. Sets the borrowed parts and returns true, or returns false. */
static bool split_line(const char *s, size_t n, const char **key, size_t *key_len, const char **value,
                       size_t *value_len)
{
        const char *end = s + n, *k, *v;

        if (n == 0 || *s != '#')
                return false;
        for (s++; s < end && (*s == ' ' || *s == '\t');)
                s++;
        for (k = s;
             s < end && ((*s >= 'a' && *s <= 'z') || (s > k && ((*s >= '0' && *s <= '9') || *s == '_' || *s == '-')));)
                s++;
        if (s == k || s == end || *s != ':')
                return false;
        /* "https://…" in a comment is not a key. */
        if (s + 1 < end && s[1] == '/')
                return false;
        *key = k;
        *key_len = (size_t) (s - k);
        for (v = s + 1; v < end && (*v == ' ' || *v == '\t');)
                v++;
        while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
        *value = v;
        *value_len = (size_t) (end - v);
        return true;
}

static MetadataKey key_from_string(const char *s, size_t n)
{
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++)
                if (strlen(keys[k].name) == n && memcmp(keys[k].name, s, n) == 0)
                        return k;
        return _METADATA_KEY_MAX;
}

/* C0, DEL and C1 (U+0080 to U+009F), in UTF-8. */
static bool has_control_character(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f)
                        return true;
                if (s[i] == '\xc2' && i + 1 < n && (unsigned char) s[i + 1] < 0xa0)
                        return true;
        }
        return false;
}

static int take_value(Metadata *m, unsigned line, const char *key, size_t key_len, const char *value, size_t n)
{
        MetadataKey k = key_from_string(key, key_len);

        /* A license in the header is neither a setting nor a mistake. */
        if (k == _METADATA_KEY_MAX && key_len > 5 && memcmp(key, "SPDX-", 5) == 0)
                return 0;
        if (k == _METADATA_KEY_MAX)
                return metadata_add_problem(m, line, true, "unknown key \"%.*s\", ignored", (int) MIN(key_len, 64U),
                                            key);
        if (m->line[k] > 0)
                return metadata_add_problem(m, line, false, "duplicate \"%s\", already set in line %u", keys[k].name,
                                            m->line[k]);
        m->line[k] = line;
        if (n == 0)
                return metadata_add_problem(m, line, false, "\"%s\" has no value", keys[k].name);
        if (n > keys[k].max)
                return metadata_add_problem(m, line, false, "\"%s\" is too long: %zu bytes, at most %zu", keys[k].name,
                                            n, keys[k].max);
        if (has_control_character(value, n) || !utf8_is_valid(value, n))
                return metadata_add_problem(m, line, false, "\"%s\" holds control characters or is not UTF-8",
                                            keys[k].name);
        m->value[k] = memdup_string(value, n);
        return m->value[k] ? 0 : -ENOMEM;
}

/* SSI's own units have these names; a service-script's unit would override them. */
static bool slug_is_reserved(const char *slug)
{
        static const char *const reserved[] = { "postgres",    "server-ca",      "serverd",
                                                "serverd-api", "serverd-ingest", "uplinkd" };

        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (streq(slug, reserved[i]))
                        return true;
        return false;
}

static int check_name(Metadata *m)
{
        unsigned line = m->line[METADATA_NAME];
        int r;

        r = slug_from_name(m->value[METADATA_NAME], &m->slug);
        if (r == -EINVAL)
                return metadata_add_problem(
                        m, line, false, "\"name\" needs at least one ASCII letter or digit: units are named after it");
        if (r == -ENAMETOOLONG)
                return metadata_add_problem(m, line, false, "\"name\" is too long: its slug has more than %d bytes",
                                            SLUG_MAX);
        if (r >= 0 && slug_is_reserved(m->slug))
                return metadata_add_problem(
                        m, line, false, "\"name\" gives \"%s\", which is one of SSI's own; choose another", m->slug);
        return r;
}

static bool user_name_is_valid(const char *s)
{
        size_t n = strlen(s);

        if (n > 31 || !((s[0] >= 'a' && s[0] <= 'z') || s[0] == '_'))
                return false;
        return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static int check_user(Metadata *m)
{
        if (user_name_is_valid(m->value[METADATA_USER]))
                return 0;
        return metadata_add_problem(m, m->line[METADATA_USER], false, "\"user\" is not a valid user name: \"%s\"",
                                    m->value[METADATA_USER]);
}

static int check_sandbox(Metadata *m)
{
        const char *v = m->value[METADATA_SANDBOX];

        if (streq(v, "on"))
                return 0;
        if (streq(v, "off")) {
                m->sandbox_off = true;
                return 0;
        }
        return metadata_add_problem(m, m->line[METADATA_SANDBOX], false, "\"sandbox\" is \"on\" or \"off\", not \"%s\"",
                                    v);
}

size_t metadata_next_word(const char **list, const char **ret)
{
        const char *s = *list + strspn(*list, ", \t");
        size_t n = strcspn(s, ",");

        *list = s + n;
        *ret = s;
        while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
                n--;
        return n;
}

/* See systemd.unit(5). A template is not a unit, and a service-script that watched its own unit would start itself
 * again and again. */
static bool unit_name_is_valid(const char *s)
{
        static const char *const suffixes[] = { ".service", ".socket", ".device", ".mount", ".automount", ".swap",
                                                ".target",  ".path",   ".timer",  ".slice", ".scope" };
        const char *dot = strrchr(s, '.');

        if (!dot || dot == s || dot[-1] == '@' || s[0] == '@' || strlen(s) > UNIT_NAME_MAX)
                return false;
        if (strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") != strlen(s))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (streq(dot, suffixes[i]))
                        return true;
        return false;
}

static int check_watches(Metadata *m)
{
        unsigned line = m->line[METADATA_WATCHES], count = 0;
        const char *list = m->value[METADATA_WATCHES], *word;
        size_t n;

        while ((n = metadata_next_word(&list, &word)) > 0) {
                _cleanup_free_ char *unit = memdup_string(word, n);
                char slug[SLUG_MAX + 1];
                int r = 0;

                if (!unit)
                        return -ENOMEM;
                if (++count > METADATA_WATCHES_MAX)
                        return metadata_add_problem(m, line, false, "\"watches\" names more than %d units",
                                                    METADATA_WATCHES_MAX);
                if (!unit_name_is_valid(unit))
                        r = metadata_add_problem(
                                m, line, false,
                                "\"watches\" takes names of units such as \"nginx.service\", not \"%s\"", unit);
                else if (slug_from_service_unit(unit, slug) >= 0 && !slug_is_reserved(slug))
                        r = metadata_add_problem(m, line, false,
                                                 "\"watches\" cannot name the unit of a service-script: \"%s\"", unit);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* In the order in which errors are shown. */
static const Key keys[_METADATA_KEY_MAX] = {
        [METADATA_NAME] = { "name", METADATA_NAME_MAX, check_name, .required = true },
        [METADATA_DESCRIPTION] = { "description", METADATA_DESCRIPTION_MAX, .required = true, .passive = true },
        [METADATA_VERSION] = { "version", METADATA_VERSION_MAX, .required = true, .passive = true },
        [METADATA_SCHEDULE] = { "schedule", METADATA_VALUE_MAX, .required = true },
        [METADATA_TIMEOUT] = { "timeout", METADATA_VALUE_MAX, .required = true },
        [METADATA_USER] = { "user", METADATA_VALUE_MAX, check_user },
        [METADATA_LABELS] = { "labels", METADATA_VALUE_MAX },
        [METADATA_SANDBOX] = { "sandbox", METADATA_VALUE_MAX, check_sandbox },
        [METADATA_WATCHES] = { "watches", METADATA_WATCHES_SIZE, check_watches },
};

static int check_required(Metadata *m, unsigned header_line)
{
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++) {
                int r;

                if (!keys[k].required || m->line[k] > 0)
                        continue;
                r = metadata_add_problem(m, header_line, false,
                                         "\"%s\" is missing; add a line \"# %s: …\" to the header", keys[k].name,
                                         keys[k].name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_values(Metadata *m)
{
        int r = 0;

        for (MetadataKey k = 0; k < _METADATA_KEY_MAX && r >= 0; k++)
                if (keys[k].check && m->value[k])
                        r = keys[k].check(m);
        return r;
}

static int check_shebang(Metadata *m, const char *content, size_t n)
{
        const char *end = memchr(content, '\n', n);
        size_t len = end ? (size_t) (end - content) : n;
        _cleanup_free_ char *line = memdup_string(content, MIN(len, 256U));

        if (!line)
                return -ENOMEM;
        if (startswith(line, "#!") && strstr(line, "bash"))
                return 0;
        return metadata_add_problem(m, 1, false, "a service-script is Bash and begins with \"#!/bin/bash\"");
}

/* The header is the first comment block that contains a key. The search ends at a line that is neither a comment nor
 * empty. */
static int read_header(Metadata *m, const char *content, size_t n, unsigned *ret_header_line)
{
        const char *end = content + n, *s = content;
        unsigned header_line = 1;
        bool seen = false;

        for (unsigned line = 1; s < end; line++) {
                const char *eol = memchr(s, '\n', (size_t) (end - s)) ?: end;
                size_t len = (size_t) (eol - s), key_len, value_len;
                const char *key, *value;
                int r;

                if (len > 0 && s[len - 1] == '\r')
                        len--;
                if (split_line(s, len, &key, &key_len, &value, &value_len)) {
                        r = take_value(m, line, key, key_len, value, value_len);
                        if (r < 0)
                                return r;
                        seen = true;
                } else if (len == 0 ? seen : *s != '#')
                        break;
                if (seen)
                        header_line = line;
                s = eol + 1;
        }
        *ret_header_line = header_line;
        return 0;
}

int metadata_parse(const char *content, size_t n, Metadata **ret)
{
        _cleanup_(metadata_freep) Metadata *m = NULL;
        unsigned header_line;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        if ((r = check_shebang(m, content, n)) < 0 || (r = read_header(m, content, n, &header_line)) < 0 ||
            (r = check_required(m, header_line)) < 0 || (r = check_values(m)) < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

char *metadata_format_problems(const Metadata *m, const char *filename)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = open_memstream(&text, &n);
        if (!f)
                return NULL;
        for (size_t i = 0; i < m->n_problems; i++) {
                const ScriptProblem *p = m->problems + i;

                fprintf(f, "%s%s:%u: %s: %s", i > 0 ? "\n" : "", filename, p->line, p->warning ? "warning" : "error",
                        p->text);
        }
        if (fclose(TAKE_PTR(f)) != 0)
                return NULL;
        return TAKE_PTR(text);
}
