/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <syslog.h>

#include "config/item.h"
#include "shared/log.h"

/* Far more than all settings together need. */
#define FILE_MAX (1024 * 1024)

#define STORAGE_PER_DAY (UINT64_C(8) << 30)
/* The file's text may be long, and may hold control characters. */
#define SENTENCE_MAX 512U

extern char **environ;

/* Where problems are reported: to the journal with this priority, or to standard output with the file's
 * path. */
typedef struct Report {
        int priority;
        const char *path;
        unsigned n; /* problems reported */
} Report;

/* ---- Messages ---- */

/* line: of the file, or 0. */
static _printf_(3, 4) void say(Report *report, unsigned line, const char *format, ...)
{
        _cleanup_free_ char *sentence = NULL, *safe = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&sentence, format, ap) < 0)
                sentence = NULL;
        va_end(ap);
        report->n++;
        safe = sentence ? utf8_sanitize(sentence, strlen(sentence), SENTENCE_MAX, NULL) : NULL;
        if (!report->path)
                log_full(report->priority, "%s", strempty(safe));
        else if (line > 0)
                printf("%s:%u: %s\n", report->path, line, strempty(safe));
        else
                printf("%s: %s\n", report->path, strempty(safe));
}

/* "a" or "b"; "a", "b" or "c". */
static void say_choices(const ConfigItem *item, const char *text, Report *report, unsigned line)
{
        const char *c = item->choices, *separator = "", *next;
        char list[128] = "";
        size_t n = 0;

        for (; *c && n < sizeof(list); c = next) {
                next = c + strlen(c) + 1;
                n += (size_t) snprintf(list + n, sizeof(list) - n, "%s\"%s\"", separator, c);
                separator = *next && !next[strlen(next) + 1] ? " or " : ", ";
        }
        say(report, line, "%s must be %s, not \"%s\".", item->name, list, text);
}

static void say_what_fits(const ConfigItem *item, const char *text, Report *report, unsigned line)
{
        switch (item->type) {
        case CONFIG_NUMBER:
                say(report, line, "%s must be a number from %u to %u, not \"%s\".", item->name, item->min, item->max,
                    text);
                break;
        case CONFIG_BOOLEAN:
                say(report, line, "%s must be \"yes\" or \"no\", not \"%s\".", item->name, text);
                break;
        case CONFIG_CHOICE:
                say_choices(item, text, report, line);
                break;
        case CONFIG_LEVEL:
                say(report, line, "%s must be a level of syslog(3), from \"emerg\" to \"debug\", not \"%s\".",
                    item->name, text);
                break;
        case CONFIG_MAIL:
                say(report, line, "%s must be an e-mail address, such as \"SSI <ssi@example.org>\".", item->name);
                break;
        case CONFIG_NETWORKS:
                say(report, line, "%s must be addresses and networks, such as \"10.1.2.3 2001:db8::/32\", or \"none\".",
                    item->name);
                break;
        case CONFIG_QUOTA:
                say(report, line, "%s must be %s, not \"%s\".", item->name, quota_format(config_item_quota(item)),
                    text);
                break;
        case CONFIG_CONTACT:
                say(report, line, "%s must begin with mailto: or https://, and have no blanks.", item->name);
                break;
        case CONFIG_CODE:
                say(report, line, "%s must have at least %u characters, and no blanks.", item->name, item->min);
                break;
        case CONFIG_FILE:
                say(report, line, "%s must be an absolute path, not \"%s\".", item->name, text);
                break;
        default:
                /* The value may hold a password. */
                say(report, line, "%s must begin with %s.", item->name,
                    item->type == CONFIG_SMTP ? "smtp:// or smtps://" : "https:// or http://");
        }
}

/* The number of positions that differ, plus the difference in length: enough to guess a misspelt name. */
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

        for (size_t i = 0; i < CONFIG_ITEMS; i++) {
                size_t d = distance(name, config_items[i].name);

                if (d < least) {
                        least = d;
                        nearest = config_items[i].name;
                }
        }
        if (nearest)
                say(report, line, "%.64s is not a setting; did you mean %s?", name, nearest);
        else
                say(report, line, "%.64s is not a setting. See ssi-serverd(8).", name);
}

/* An unknown name may belong to another program, such as libpq, unless it resembles one of ours. */
static void say_stray(const char *name, Report *report, unsigned line)
{
        char with_prefix[64];

        if (startswith(name, "SSI_"))
                say_unknown(name, report, line);
        else if (snprintf(with_prefix, sizeof(with_prefix), "SSI_%.59s", name) > 0 && config_item_find(with_prefix))
                say(report, line, "%s is not a setting; did you mean %s?", name, with_prefix);
}

/* Checks settings that depend on each other. Returns the number of problems. */
static int check_together(const Config *c, Report *report)
{
        int n = 0;

        if (!c->tls_cert != !c->tls_key) {
                say(report, 0, "SSI_TLS_CERT and SSI_TLS_KEY must be set together.");
                n++;
        }
        if (c->smtp_url && !c->smtp_from) {
                say(report, 0, "SSI_SMTP_FROM must be the address that mails come from.");
                n++;
        }
        return n;
}

/* ---- The file ---- */

/* Whether the line is blank or a comment. */
static bool is_remark(const char *line)
{
        line += strspn(line, " \t\r\n");
        return strchr("#;", line[0]); /* or the end */
}

/* Splits a line NAME=VALUE (perhaps quoted) as systemd reads it from an environment file, as far as these
 * values need it. Returns whether it is an assignment. */
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

/* The file's values, in the order of the items; NULL for those it does not set. */
typedef struct FileValues {
        char *values[CONFIG_ITEMS];
        unsigned lines[CONFIG_ITEMS];
} FileValues;

static void file_values_done(FileValues *f)
{
        for (size_t i = 0; i < CONFIG_ITEMS; i++)
                free(f->values[i]);
}

static int take_line(char *text, size_t n, unsigned line, Report *report, FileValues *ret)
{
        const ConfigItem *item;
        char *name, *value;

        if (is_remark(text))
                return 0;
        if (strlen(text) != n || !cut_line(text, &name, &value)) {
                say(report, line, "Not an assignment (NAME=VALUE); systemd ignores this line.");
                return 0;
        }
        item = config_item_find(name);
        if (!item) {
                say_stray(name, report, line);
                return 0;
        }
        if (ret->values[item - config_items])
                say(report, line, "%s is already set in line %u; this line overrides it.", name,
                    ret->lines[item - config_items]);
        ret->lines[item - config_items] = line;
        return free_and_strdup(&ret->values[item - config_items], value);
}

/* -ENOENT is not an error: a missing file sets nothing. Only regular files, because others might never
 * end. */
static int open_file(const char *path, FILE **ret)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        if (st.st_size > FILE_MAX)
                return -EFBIG;
        *ret = fdopen(fd, "r");
        if (!*ret)
                return -errno;
        TAKE_FD(fd);
        return 0;
}

static int read_file(const char *path, Report *report, FileValues *ret)
{
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_free_ char *text = NULL;
        size_t allocated = 0;
        ssize_t n;
        int r;

        r = open_file(path, &f);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        for (unsigned line = 1; (n = getline(&text, &allocated, f)) >= 0; line++) {
                r = take_line(text, (size_t) n, line, report, ret);
                if (r < 0)
                        return r;
        }
        return ferror(f) ? -EIO : 0;
}

/* ---- At startup ---- */

void config_done(Config *c)
{
        for (size_t i = 0; i < CONFIG_ITEMS; i++)
                if (config_item_is_string(config_items + i)) {
                        char **s = config_item_string(config_items + i, c);

                        if (*s)
                                explicit_bzero(*s, strlen(*s));
                        free(*s);
                }
        *c = (Config){};
}

Quota config_quota(const Config *c, QuotaKind kind)
{
        Quota q = c->quotas[kind];

        /* More days need more room. */
        if (q.automatic)
                q.value = kind == QUOTA_STORAGE ? STORAGE_PER_DAY * c->history_days : QUOTA_NONE;
        return q;
}

static void warn_of_unknown(void)
{
        Report report = { .priority = LOG_WARNING };

        for (char **e = environ; *e; e++) {
                _cleanup_free_ char *name = startswith(*e, "SSI_") ? strndup(*e, strcspn(*e, "=")) : NULL;

                if (name && !config_item_find(name))
                        say_unknown(name, &report, 0);
        }
}

/* Notes which settings the file sets, so that a later reload does not take them from the environment. */
static void note_names(const char *path, Config *c)
{
        _cleanup_(file_values_done) FileValues f = {};

        (void) read_file(path, &(Report){ .priority = LOG_DEBUG }, &f);
        for (size_t i = 0; i < CONFIG_ITEMS; i++)
                if (f.values[i])
                        c->from_file |= UINT64_C(1) << i;
}

int config_load(const char *path, Config *ret)
{
        Report error = { .priority = LOG_ERR }, warning = { .priority = LOG_WARNING };
        _cleanup_(config_done) Config c = {};
        int bad = 0;

        warn_of_unknown();
        for (size_t i = 0; i < CONFIG_ITEMS; i++) {
                const char *text = secure_getenv(config_items[i].name);
                int r = config_item_set(config_items + i, &c, text);

                if (r == -ENOMEM)
                        return log_oom();
                if (r >= 0)
                        continue;
                /* An invalid value of a reloadable setting must not keep the backend from starting. */
                say_what_fits(config_items + i, text, config_items[i].reloadable ? &warning : &error, 0);
                bad += !config_items[i].reloadable;
                (void) config_item_set(config_items + i, &c, NULL);
        }
        bad += check_together(&c, &error);
        if (bad > 0)
                return -EINVAL;
        note_names(path, &c);
        *ret = c;
        c = (Config){};
        return 0;
}

/* ---- On reload ---- */

static int reload_item(size_t i, const FileValues *f, Config *c)
{
        Report report = { .priority = LOG_WARNING };
        const ConfigItem *item = config_items + i;
        const char *text = f->values[i];
        _cleanup_(config_done) Config new = {};
        int r;

        /* A setting that was removed from the file is still in the environment. */
        if (text)
                c->from_file |= UINT64_C(1) << i;
        else if (!(c->from_file & UINT64_C(1) << i))
                text = secure_getenv(item->name);
        r = config_item_set(item, &new, text);
        if (r == -EINVAL) {
                say_what_fits(item, text, &report, 0);
                return 0;
        }
        if (r < 0 || config_item_is_same(item, c, &new))
                return r;
        if (!item->reloadable)
                log_notice("%s has changed; it takes effect when ssi-serverd is restarted.", item->name);
        else
                r = config_item_set(item, c, text);
        return r;
}

int config_reload(const char *path, Config *c)
{
        _cleanup_(file_values_done) FileValues f = {};
        int r;

        r = read_file(path, &(Report){ .priority = LOG_WARNING }, &f);
        for (size_t i = 0; i < CONFIG_ITEMS && r >= 0; i++)
                r = reload_item(i, &f, c);
        return r;
}

static void check_files(Config *c, const FileValues *f, Report *report)
{
        for (size_t i = 0; i < CONFIG_ITEMS; i++) {
                const char *path =
                        config_items[i].type == CONFIG_FILE ? *config_item_string(config_items + i, c) : NULL;

                if (path && access(path, R_OK) < 0)
                        say(report, f->lines[i], "%s: cannot read %s: %s", config_items[i].name, path, strerror(errno));
        }
}

int config_check(const char *path)
{
        _cleanup_(file_values_done) FileValues f = {};
        _cleanup_(config_done) Config c = {};
        Report report = { .path = path };
        int r;

        r = read_file(path, &report, &f);
        for (size_t i = 0; i < CONFIG_ITEMS && r >= 0; i++) {
                r = config_item_set(config_items + i, &c, f.values[i]);
                if (r != -EINVAL)
                        continue;
                say_what_fits(config_items + i, f.values[i], &report, f.lines[i]);
                r = 0;
        }
        if (r < 0)
                return r;
        (void) check_together(&c, &report);
        check_files(&c, &f, &report);
        return (int) report.n;
}
