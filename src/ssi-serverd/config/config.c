/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <strings.h>
#include <syslog.h>

#include "config/config.h"
#include "shared/log.h"

#define LINES_MAX  1000U
#define LINE_BYTES 4096
#define NUMBER_MAX 1000000U

extern char **environ;

typedef enum ConfigType {
        CONFIG_STRING,
        CONFIG_FILE, /* an absolute path */
        CONFIG_URL,  /* http:// or https:// */
        CONFIG_SMTP, /* smtp:// or smtps:// */
        CONFIG_MAIL, /* an address, perhaps with a name */
        CONFIG_NUMBER,
        CONFIG_BOOLEAN,
        CONFIG_CHOICE,
        CONFIG_LEVEL,
} ConfigType;

typedef struct ConfigItem {
        const char *name;
        ConfigType type;
        size_t offset;        /* in Config */
        const char *fallback; /* as it would stand in the file; NULL for nothing */
        unsigned min, max;    /* of a number */
        const char *choices;  /* of a choice: "a" or "b"… in the order of their numbers, NUL-separated, with an empty one at the end */
        bool reloadable;
} ConfigItem;

#define ITEM(name_, type_, member, ...) { .name = name_, .type = type_, .offset = offsetof(Config, member), __VA_ARGS__ }

static const ConfigItem items[] = {
        ITEM("SSI_DATABASE_URL", CONFIG_STRING, database_url, .fallback = "host=/run/ssi-postgres dbname=ssi user=ssi-server"),
        ITEM("SSI_PUBLIC_URL", CONFIG_URL, public_url),
        ITEM("SSI_TLS_CERT", CONFIG_FILE, tls_cert),
        ITEM("SSI_TLS_KEY", CONFIG_FILE, tls_key),
        ITEM("SSI_ACCESS_TOKEN_KEY", CONFIG_FILE, access_token_key),
        ITEM("SSI_PUSH_KEY", CONFIG_STRING, push_key),
        ITEM("SSI_METRICS_TOKEN", CONFIG_STRING, metrics_token),
        ITEM("SSI_SMTP_URL", CONFIG_SMTP, smtp_url),
        ITEM("SSI_SMTP_FROM", CONFIG_MAIL, smtp_from),
        ITEM("SSI_SMTP_CA", CONFIG_FILE, smtp_ca),
        ITEM("SSI_MIGRATIONS_DIR", CONFIG_STRING, migrations_dir, .fallback = SSI_MIGRATIONS_DIR),
        ITEM("SSI_HISTORY", CONFIG_CHOICE, history, .fallback = "all", .choices = "all\0changes\0"),
        ITEM("SSI_HISTORY_DAYS", CONFIG_NUMBER, history_days, .fallback = "7", .min = 1, .max = 3650),
        ITEM("SSI_STALE_GRACE", CONFIG_NUMBER, stale_grace_seconds, .fallback = "120", .min = 1, .max = 86400),
        ITEM("SSI_REBOOT_TIME", CONFIG_NUMBER, reboot_seconds, .fallback = "600", .min = 1, .max = 86400),
        ITEM("SSI_RATE_LIMIT", CONFIG_NUMBER, rate_limit, .fallback = "100", .max = NUMBER_MAX),
        ITEM("SSI_NOTIFY_TIMEOUT", CONFIG_NUMBER, notify_timeout, .fallback = "20", .min = 1, .max = 300),
        ITEM("SSI_ALLOW_PRIVATE_TARGETS", CONFIG_BOOLEAN, allow_private_targets, .fallback = "no"),
        ITEM("SSI_LOG_LEVEL", CONFIG_LEVEL, log_level, .fallback = "info", .reloadable = true),
        ITEM("SSI_ACCESS_LOG", CONFIG_BOOLEAN, access_log, .fallback = "no", .reloadable = true),
};

/* Where problems are told: in the journal with this priority, or on standard output with the file's path. */
typedef struct Report {
        int priority;
        const char *path;
        unsigned n; /* problems that were told */
} Report;

static const ConfigItem *find_item(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                if (streq(items[i].name, name))
                        return items + i;
        return NULL;
}

static bool is_string(const ConfigItem *item)
{
        return item->type <= CONFIG_MAIL;
}

static char **string_of(const ConfigItem *item, Config *c)
{
        return (char **) ((char *) c + item->offset);
}

static unsigned *number_of(const ConfigItem *item, Config *c)
{
        return (unsigned *) ((char *) c + item->offset);
}

static bool *boolean_of(const ConfigItem *item, Config *c)
{
        return (bool *) ((char *) c + item->offset);
}

/* ---- Values ---- */

static bool parse_number(const ConfigItem *item, const char *s, unsigned *ret)
{
        unsigned long v;
        char *end;

        errno = 0;
        v = strtoul(s, &end, 10);
        if (s[0] < '0' || s[0] > '9' || *end != '\0' || errno != 0 || v < item->min || v > item->max)
                return false;
        *ret = (unsigned) v;
        return true;
}

/* As systemd takes them. */
static bool parse_boolean(const char *s, bool *ret)
{
        static const char *const words[2][4] = { { "0", "no", "false", "off" }, { "1", "yes", "true", "on" } };

        for (size_t i = 0; i < 2; i++)
                for (size_t k = 0; k < ELEMENTSOF(words[i]); k++)
                        if (strcasecmp(s, words[i][k]) == 0) {
                                *ret = i == 1;
                                return true;
                        }
        return false;
}

static bool parse_choice(const ConfigItem *item, const char *s, unsigned *ret)
{
        unsigned n = 0;

        for (const char *c = item->choices; *c; c += strlen(c) + 1, n++)
                if (streq(s, c)) {
                        *ret = n;
                        return true;
                }
        return false;
}

static bool parse_level(const char *s, unsigned *ret)
{
        int level = log_level_from_string(s);

        if (level < 0)
                return false;
        *ret = (unsigned) level;
        return true;
}

static bool string_fits(const ConfigItem *item, const char *s)
{
        switch (item->type) {
        case CONFIG_FILE:
                return s[0] == '/';
        case CONFIG_URL:
                return startswith(s, "https://") || startswith(s, "http://");
        case CONFIG_SMTP:
                return startswith(s, "smtp://") || startswith(s, "smtps://");
        case CONFIG_MAIL:
                return strchr(s, '@') && !strpbrk(s, "\r\n");
        default:
                return true;
        }
}

static int set_string(const ConfigItem *item, Config *c, const char *s)
{
        size_t n = strlen(s);
        char *copy;

        while (item->type == CONFIG_URL && n > 0 && s[n - 1] == '/')
                n--;
        copy = n > 0 ? memdup_string(s, n) : NULL;
        if (n > 0 && !copy)
                return -ENOMEM;
        free(*string_of(item, c));
        *string_of(item, c) = copy;
        return 0;
}

/* Sets it to what the text says; an empty one is the default. -EINVAL when it does not fit. */
static int set_item(const ConfigItem *item, Config *c, const char *text)
{
        const char *s = isempty(text) ? strempty(item->fallback) : text;
        bool fits = true;

        if (is_string(item))
                return isempty(s) || string_fits(item, s) ? set_string(item, c, s) : -EINVAL;
        if (item->type == CONFIG_NUMBER)
                fits = parse_number(item, s, number_of(item, c));
        else if (item->type == CONFIG_BOOLEAN)
                fits = parse_boolean(s, boolean_of(item, c));
        else if (item->type == CONFIG_CHOICE)
                fits = parse_choice(item, s, number_of(item, c));
        else
                fits = parse_level(s, number_of(item, c));
        return fits ? 0 : -EINVAL;
}

static bool is_same(const ConfigItem *item, Config *a, Config *b)
{
        if (is_string(item))
                return streq_ptr(*string_of(item, a), *string_of(item, b));
        if (item->type == CONFIG_BOOLEAN)
                return *boolean_of(item, a) == *boolean_of(item, b);
        return *number_of(item, a) == *number_of(item, b);
}

/* ---- What is said ---- */

/* line: in the file, or 0. */
static _printf_(3, 4) void say(Report *report, unsigned line, const char *format, ...)
{
        _cleanup_free_ char *sentence = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&sentence, format, ap) < 0)
                sentence = NULL;
        va_end(ap);
        report->n++;
        if (!report->path)
                log_full(report->priority, "%s", strempty(sentence));
        else if (line > 0)
                printf("%s:%u: %s\n", report->path, line, strempty(sentence));
        else
                printf("%s: %s\n", report->path, strempty(sentence));
}

static void say_what_fits(const ConfigItem *item, const char *text, Report *report, unsigned line)
{
        switch (item->type) {
        case CONFIG_NUMBER:
                say(report, line, "%s must be a number from %u to %u, not \"%s\".", item->name, item->min, item->max, text);
                break;
        case CONFIG_BOOLEAN:
                say(report, line, "%s must be \"yes\" or \"no\", not \"%s\".", item->name, text);
                break;
        case CONFIG_CHOICE:
                say(report, line, "%s must be \"%s\" or \"%s\", not \"%s\".", item->name, item->choices,
                    item->choices + strlen(item->choices) + 1, text);
                break;
        case CONFIG_LEVEL:
                say(report, line, "%s must be a level of syslog(3), from \"emerg\" to \"debug\", not \"%s\".", item->name, text);
                break;
        case CONFIG_MAIL:
                say(report, line, "%s must be an e-mail address, such as \"SSI <ssi@example.org>\".", item->name);
                break;
        case CONFIG_FILE:
                say(report, line, "%s must be an absolute path, not \"%s\".", item->name, text);
                break;
        default:
                /* There may be a password in it. */
                say(report, line, "%s must begin with %s.", item->name,
                    item->type == CONFIG_SMTP ? "smtp:// or smtps://" : "https:// or http://");
        }
}

/* How many letters differ where they stand, and in length: enough to guess what was meant. */
static size_t distance(const char *a, const char *b)
{
        size_t n = strlen(a), m = strlen(b), row[64];

        if (m >= ELEMENTSOF(row))
                return SIZE_MAX;
        for (size_t j = 0; j <= m; j++)
                row[j] = j;
        for (size_t i = 1; i <= n; i++) {
                size_t corner = row[0];

                row[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        size_t before = row[j];

                        row[j] = MIN(MIN(row[j], row[j - 1]) + 1, corner + (a[i - 1] != b[j - 1]));
                        corner = before;
                }
        }
        return row[m];
}

static void say_unknown(const char *name, Report *report, unsigned line)
{
        const char *nearest = NULL;
        size_t least = 4;

        for (size_t i = 0; i < ELEMENTSOF(items); i++) {
                size_t d = distance(name, items[i].name);

                if (d < least) {
                        least = d;
                        nearest = items[i].name;
                }
        }
        if (nearest)
                say(report, line, "%.64s is not a setting; did you mean %s?", name, nearest);
        else
                say(report, line, "%.64s is not a setting. See ssi-serverd(8).", name);
}

/* A name in the file that is none of ours may be somebody else's, such as libpq's; unless it looks like one of ours. */
static void say_stray(const char *name, Report *report, unsigned line)
{
        char with_prefix[64];

        if (startswith(name, "SSI_"))
                say_unknown(name, report, line);
        else if (snprintf(with_prefix, sizeof(with_prefix), "SSI_%.59s", name) > 0 && find_item(with_prefix))
                say(report, line, "%s is not a setting; did you mean %s?", name, with_prefix);
}

/* What no single value shows. The number of problems. */
static int check_together(const Config *c, Report *report)
{
        int n = 0;

        if (!c->tls_cert != !c->tls_key) {
                say(report, 0, "SSI_TLS_CERT and SSI_TLS_KEY belong together: set both, or neither.");
                n++;
        }
        if (c->smtp_url && !c->smtp_from) {
                say(report, 0, "SSI_SMTP_FROM must be the address that mails come from.");
                n++;
        }
        return n;
}

/* ---- The file ---- */

/* Whether there is nothing to say on it. */
static bool is_remark(const char *line)
{
        line += strspn(line, " \t\r\n");
        return strchr("#;", line[0]); /* or the end */
}

/* Cuts a line as systemd reads it from an environment file, as far as these values need it: NAME=VALUE, perhaps quoted. Whether there
 * is one. */
static bool cut_line(char *line, char **ret_name, char **ret_value)
{
        char *name = line + strspn(line, " \t"), *value = strchr(name, '=');
        size_t n;

        if (!value)
                return false;
        *value++ = '\0';
        n = strlen(name);
        while (n > 0 && (name[n - 1] == ' ' || name[n - 1] == '\t'))
                name[--n] = '\0';
        if (n == 0 || name[strcspn(name, " \t")] != '\0')
                return false;
        value += strspn(value, " \t");
        n = strcspn(value, "\r\n");
        while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
                n--;
        if (n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0]) {
                value++;
                n -= 2;
        }
        value[n] = '\0';
        *ret_name = name;
        *ret_value = value;
        return true;
}

/* What a file says, in the order of the items; NULL for what it does not name. */
typedef struct FileValues {
        char *values[ELEMENTSOF(items)];
        unsigned lines[ELEMENTSOF(items)];
} FileValues;

static void file_values_done(FileValues *f)
{
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                free(f->values[i]);
}

/* A file that does not exist names nothing. */
static int read_file(const char *path, Report *report, FileValues *ret)
{
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        char text[LINE_BYTES], *name, *value;

        if (!f)
                return errno == ENOENT ? 0 : -errno;
        for (unsigned n = 1; n <= LINES_MAX && fgets(text, sizeof(text), f); n++) {
                const ConfigItem *item;

                if (is_remark(text))
                        continue;
                if (!cut_line(text, &name, &value)) {
                        say(report, n, "This is not an assignment, NAME=VALUE; systemd ignores it.");
                        continue;
                }
                item = find_item(name);
                if (!item)
                        say_stray(name, report, n);
                if (!item)
                        continue;
                if (ret->values[item - items])
                        say(report, n, "%s was set in line %u already; this line counts.", name, ret->lines[item - items]);
                ret->lines[item - items] = n;
                if (free_and_strdup(&ret->values[item - items], value) < 0)
                        return -ENOMEM;
        }
        return ferror(f) ? -EIO : 0;
}

/* ---- At the start ---- */

void config_done(Config *c)
{
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                if (is_string(items + i)) {
                        char **s = string_of(items + i, c);

                        if (*s)
                                explicit_bzero(*s, strlen(*s));
                        free(*s);
                }
        *c = (Config){};
}

static void warn_of_unknown(void)
{
        Report report = { .priority = LOG_WARNING };

        for (char **e = environ; *e; e++) {
                _cleanup_free_ char *name = startswith(*e, "SSI_") ? strndup(*e, strcspn(*e, "=")) : NULL;

                if (name && !find_item(name))
                        say_unknown(name, &report, 0);
        }
}

/* What the file names now, a later reload must not take from the environment. */
static void note_names(const char *path, Config *c)
{
        _cleanup_(file_values_done) FileValues f = {};

        (void) read_file(path, &(Report){ .priority = LOG_DEBUG }, &f);
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                if (f.values[i])
                        c->from_file |= UINT32_C(1) << i;
}

int config_load(const char *path, Config *ret)
{
        Report error = { .priority = LOG_ERR }, warning = { .priority = LOG_WARNING };
        _cleanup_(config_done) Config c = {};
        int bad = 0;

        warn_of_unknown();
        for (size_t i = 0; i < ELEMENTSOF(items); i++) {
                const char *text = secure_getenv(items[i].name);
                int r = set_item(items + i, &c, text);

                if (r == -ENOMEM)
                        return log_oom();
                if (r >= 0)
                        continue;
                /* A reloadable one is not worth a backend that does not start. */
                say_what_fits(items + i, text, items[i].reloadable ? &warning : &error, 0);
                bad += !items[i].reloadable;
                (void) set_item(items + i, &c, NULL);
        }
        bad += check_together(&c, &error);
        if (bad > 0)
                return -EINVAL;
        note_names(path, &c);
        *ret = c;
        c = (Config){};
        return 0;
}

/* ---- Later ---- */

static int reload_item(size_t i, const FileValues *f, Config *c)
{
        Report report = { .priority = LOG_WARNING };
        const ConfigItem *item = items + i;
        const char *text = f->values[i];
        _cleanup_(config_done) Config new = {};
        int r;

        /* What the file once named and names no more stands in the environment still. */
        if (text)
                c->from_file |= UINT32_C(1) << i;
        else if (!(c->from_file & UINT32_C(1) << i))
                text = secure_getenv(item->name);
        r = set_item(item, &new, text);
        if (r == -EINVAL) {
                say_what_fits(item, text, &report, 0);
                return 0;
        }
        if (r < 0 || is_same(item, c, &new))
                return r;
        if (!item->reloadable)
                log_notice("%s has changed; it takes effect when ssi-serverd is restarted.", item->name);
        else
                r = set_item(item, c, text);
        return r;
}

int config_reload(const char *path, Config *c)
{
        _cleanup_(file_values_done) FileValues f = {};
        int r;

        r = read_file(path, &(Report){ .priority = LOG_WARNING }, &f);
        for (size_t i = 0; i < ELEMENTSOF(items) && r >= 0; i++)
                r = reload_item(i, &f, c);
        return r;
}

static void check_files(Config *c, const FileValues *f, Report *report)
{
        for (size_t i = 0; i < ELEMENTSOF(items); i++) {
                const char *path = items[i].type == CONFIG_FILE ? *string_of(items + i, c) : NULL;

                if (path && access(path, R_OK) < 0)
                        say(report, f->lines[i], "%s: cannot read %s: %s", items[i].name, path, strerror(errno));
        }
}

int config_check(const char *path)
{
        _cleanup_(file_values_done) FileValues f = {};
        _cleanup_(config_done) Config c = {};
        Report report = { .path = path };
        int r;

        r = read_file(path, &report, &f);
        for (size_t i = 0; i < ELEMENTSOF(items) && r >= 0; i++) {
                r = set_item(items + i, &c, f.values[i]);
                if (r != -EINVAL)
                        continue;
                say_what_fits(items + i, f.values[i], &report, f.lines[i]);
                r = 0;
        }
        if (r < 0)
                return r;
        (void) check_together(&c, &report);
        check_files(&c, &f, &report);
        return (int) report.n;
}
