/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "shared/io-util.h"
#include "unit-dropin.h"
#include "unit-settings.h"

#define DROPIN_SIZE_MAX (64U * 1024U)
#define DROPINS_MAX     256U

/* Where systemd looks for the units of the system, in its order (252 to 257). */
static const char *const unit_folders[] = {
        "/etc/systemd/system.control", "/run/systemd/system.control",
        "/run/systemd/transient",      "/run/systemd/generator.early",
        "/etc/systemd/system",         "/etc/systemd/system.attached",
        "/run/systemd/system",         "/run/systemd/system.attached",
        "/run/systemd/generator",      "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",     "/lib/systemd/system",
        "/run/systemd/generator.late", NULL,
};

/* They order, limit, restrict, describe or delay. Environment= too: all that sees it runs in the sandbox, and everyone can read it from
 * systemd. (EnvironmentFile= reads what only root may.) docs/adr/0038 has the reasons. */
static const char *const harmless[] = {
        /* [Unit] */
        "After",
        "Before",
        "Description",
        "Documentation",
        "StartLimitBurst",
        "StartLimitIntervalSec",
        /* [Service] */
        "CPUAccounting",
        "CPUQuota",
        "CPUQuotaPeriodSec",
        "CPUWeight",
        "Environment",
        "IOAccounting",
        "IOReadBandwidthMax",
        "IOReadIOPSMax",
        "IOWeight",
        "IOWriteBandwidthMax",
        "IOWriteIOPSMax",
        "IPAddressDeny",
        "InaccessiblePaths",
        "LogLevelMax",
        "MemoryAccounting",
        "MemoryHigh",
        "MemoryMax",
        "MemorySwapMax",
        "Nice",
        "RuntimeMaxSec",
        "StartupCPUWeight",
        "StartupIOWeight",
        "TasksAccounting",
        "TasksMax",
        "TimeoutAbortSec",
        "TimeoutSec",
        "TimeoutStartFailureMode",
        "TimeoutStartSec",
        "TimeoutStopFailureMode",
        "TimeoutStopSec",
        "UnsetEnvironment",
        /* [Timer] */
        "AccuracySec",
        "FixedRandomDelay",
        "OnActiveSec",
        "OnBootSec",
        "OnCalendar",
        "OnClockChange",
        "OnStartupSec",
        "OnTimezoneChange",
        "OnUnitActiveSec",
        "OnUnitInactiveSec",
        "Persistent",
        "RandomizedDelaySec",
};

/* Protections without which the run may do no more than any local user. What is left holds for DynamicUser=yes whatever a drop-in says
 * (systemd.exec(5)): no new privileges, its own /tmp, and nothing outside of it that it could write to; and there are no capabilities.
 * Containers cannot have these protections, and LXC's turn them off for all services. */
static const char *const protections[] = {
        "NoNewPrivileges",      "PrivateDevices",        "PrivateNetwork", "PrivateTmp",
        "ProcSubset",           "ProtectControlGroups",  "ProtectHome",    "ProtectKernelLogs",
        "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc",    "ProtectSystem",
};

/* They give something, and take it all away when they are empty. */
static const char *const harmless_if_empty[] = { "ImportCredential", "LoadCredential", "ReadWritePaths" };

/* And all that begin so: they only keep a unit from being started; systemd ignores the last. */
static const char *const harmless_beginnings[] = { "Condition", "Assert", "X-" };

static bool key_is(const char *key, size_t n, const char *name)
{
        return strlen(name) == n && memcmp(key, name, n) == 0;
}

static bool is_one_of(const char *const *names, size_t n_names, const char *key, size_t n)
{
        for (size_t i = 0; i < n_names; i++)
                if (key_is(key, n, names[i]))
                        return true;
        return false;
}

static bool is_harmless(const char *key, size_t n)
{
        if (is_one_of(harmless, ELEMENTSOF(harmless), key, n))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(harmless_beginnings); i++)
                if (n > strlen(harmless_beginnings[i]) && startswith(key, harmless_beginnings[i]))
                        return true;
        return false;
}

_printf_(2, 3) static int widens(char **ret_why, const char *format, ...)
{
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(ret_why, format, ap);
        va_end(ap);
        return r < 0 ? -ENOMEM : 1;
}

/* Tells whether an assignment is all right: the line without what surrounds it, and how long its key is. */
typedef bool (*allow_t)(const char *line, size_t n_line, size_t n_key, void *userdata);

/* path is for the reason. */
static int judge_line(const char *path, const char *line, size_t n, allow_t allow, void *userdata, char **ret_why)
{
        _cleanup_free_ char *key = NULL;
        const char *equals;
        size_t n_key;

        while (n > 0 && (line[0] == ' ' || line[0] == '\t')) {
                line++;
                n--;
        }
        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
                n--;
        if (n == 0 || line[0] == '#' || line[0] == ';' || line[0] == '[')
                return 0;
        /* systemd ends lines at some of these. */
        for (size_t i = 0; i < n; i++)
                if ((unsigned char) line[i] < ' ' && line[i] != '\t')
                        return widens(ret_why, "%s has control characters", path);
        equals = memchr(line, '=', n);
        if (!equals)
                return widens(ret_why, "%s has a line without \"=\"", path);
        n_key = (size_t) (equals - line);
        while (n_key > 0 && (line[n_key - 1] == ' ' || line[n_key - 1] == '\t'))
                n_key--;
        if (allow(line, n, n_key, userdata))
                return 0;
        key = utf8_sanitize(line, n_key, 64, NULL);
        return key ? widens(ret_why, "%s sets %s=", path, key) : -ENOMEM;
}

static int judge(const char *path, const char *text, size_t n, allow_t allow, void *userdata, char **ret_why)
{
        const char *end = text + n;
        int r = 0;

        while (text < end && r == 0) {
                const char *newline = memchr(text, '\n', (size_t) (end - text)) ?: end;

                r = judge_line(path, text, (size_t) (newline - text), allow, userdata, ret_why);
                text = newline + 1;
        }
        return r;
}

/* ---- Drop-ins ---- */

/* Of a line without blanks at its ends. */
static bool is_empty(const char *line, size_t n_line)
{
        return line[n_line - 1] == '=' && memchr(line, '=', n_line) == line + n_line - 1;
}

static bool allow_harmless(const char *line, size_t n_line, size_t n_key, void *userdata)
{
        return is_harmless(line, n_key) || is_one_of(protections, ELEMENTSOF(protections), line, n_key) ||
               (is_one_of(harmless_if_empty, ELEMENTSOF(harmless_if_empty), line, n_key) && is_empty(line, n_line));
}

int unit_dropin_widens(const char *path, char **ret_why)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        size_t n;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
                return widens(ret_why, "%s cannot be read (%s)", path, strerror(errno));
        /* This is how one masks another. */
        if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
                return 0;
        if (!S_ISREG(st.st_mode))
                return widens(ret_why, "%s is not a regular file", path);
        r = read_at_most(fd, DROPIN_SIZE_MAX + 1, &text, &n);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return widens(ret_why, "%s cannot be read (%s)", path, strerror(-r));
        if (n > DROPIN_SIZE_MAX)
                return widens(ret_why, "%s has more than %u bytes", path, DROPIN_SIZE_MAX);
        return judge(path, text, n, allow_harmless, NULL, ret_why);
}

/* The names of the files that were found: those of the same names in folders that come later are overridden. */
typedef struct Found {
        char *names[DROPINS_MAX];
        size_t n;
} Found;

static void found_done(Found *f)
{
        for (size_t i = 0; i < f->n; i++)
                free(f->names[i]);
}

/* 1 when it was not there yet. */
static int found_add(Found *f, const char *name)
{
        for (size_t i = 0; i < f->n; i++)
                if (streq(f->names[i], name))
                        return 0;
        if (f->n == DROPINS_MAX)
                return -E2BIG;
        f->names[f->n] = strdup(name);
        if (!f->names[f->n])
                return -ENOMEM;
        f->n++;
        return 1;
}

static int judge_folder_files(Found *f, const char *folder, DIR *d, char **ret_why)
{
        for (;;) {
                _cleanup_free_ char *path = NULL;
                const struct dirent *e;
                int r;

                errno = 0;
                e = readdir(d);
                if (!e)
                        return errno == 0 ? 0 : widens(ret_why, "%s cannot be read (%s)", folder, strerror(errno));
                if (!endswith(e->d_name, ".conf"))
                        continue;
                r = found_add(f, e->d_name);
                if (r == -E2BIG)
                        return widens(ret_why, "there are more than %u drop-ins", DROPINS_MAX);
                if (r > 0)
                        r = asprintf(&path, "%s/%s", folder, e->d_name) < 0 ? -ENOMEM :
                                                                              unit_dropin_widens(path, ret_why);
                if (r != 0)
                        return r;
        }
}

static int judge_folder(Found *f, const char *parent, const char *name, size_t n, const char *type, char **ret_why)
{
        _cleanup_free_ char *folder = NULL;
        DIR *d;
        int r;

        if (asprintf(&folder, "%s/%.*s%s.d", parent, (int) n, name, type) < 0)
                return -ENOMEM;
        d = opendir(folder);
        if (!d)
                return errno == ENOENT || errno == ENOTDIR ?
                               0 :
                               widens(ret_why, "%s cannot be read (%s)", folder, strerror(errno));
        r = judge_folder_files(f, folder, d, ret_why);
        closedir(d);
        return r;
}

/* ssi-a-b.service.d, then ssi-a-.service.d, then ssi-.service.d. */
static int judge_name(Found *f, const char *parent, const char *unit, const char *type, char **ret_why)
{
        size_t n = (size_t) (type - unit);
        int r;

        r = judge_folder(f, parent, unit, n, type, ret_why);
        while (r == 0 && n > 1) {
                n--;
                if (unit[n - 1] == '-')
                        r = judge_folder(f, parent, unit, n, type, ret_why);
        }
        return r;
}

int unit_dropins_widen_in(const char *const *folders, const char *unit, char **ret_why)
{
        _cleanup_(found_done) Found f = { .n = 0 };
        const char *type = strrchr(unit, '.');
        int r = 0;

        if (!type)
                return widens(ret_why, "%s has no type", unit);
        for (const char *const *p = folders; *p && r == 0; p++)
                r = judge_name(&f, *p, unit, type, ret_why);
        for (const char *const *p = folders; *p && r == 0; p++)
                r = judge_folder(&f, *p, "", 0, type + 1, ret_why);
        return r;
}

int unit_dropins_widen(const char *unit, char **ret_why)
{
        return unit_dropins_widen_in(unit_folders, unit, ret_why);
}

/* ---- The unit itself ---- */

/* Without one of these it runs as somebody, or gains something. */
static const char *const essential[] = { "\nDynamicUser=yes\n", "\nNoNewPrivileges=yes\n",
                                         "\nCapabilityBoundingSet=\n" };

typedef struct Written {
        const char *line;
        size_t n_line, n_key;
} Written;

/* A key that ssid writes. Its value may be that of an older version; but a path has prefixes that give rights, and a name is
 * somebody. */
static int find_written(const UnitSetting *s, void *userdata)
{
        const Written *w = userdata;
        size_t n = strlen(s->key);

        if (!key_is(w->line, w->n_key, s->key))
                return 0;
        if (s->type != UNIT_SETTING_EXEC && !streq(s->key, "User"))
                return -EEXIST;
        return w->n_line == n + 1 + strlen(s->text) && memcmp(w->line + n + 1, s->text, w->n_line - n - 1) == 0 ?
                       -EEXIST :
                       0;
}

/* A later line of the same setting would undo it. */
static bool undoes_essential(const Written *w)
{
        for (size_t i = 0; i < ELEMENTSOF(essential); i++) {
                const char *line = essential[i] + 1;
                size_t n = strlen(line) - 1;

                if (strncmp(line, w->line, w->n_key) != 0 || line[w->n_key] != '=')
                        continue;
                return w->n_line != n || memcmp(w->line, line, n) != 0;
        }
        return false;
}

static bool allow_written(const char *line, size_t n_line, size_t n_key, void *userdata)
{
        const Written w = { .line = line, .n_line = n_line, .n_key = n_key };

        if (undoes_essential(&w))
                return false;
        return is_harmless(line, n_key) || unit_settings_visit(userdata, find_written, (void *) &w) == -EEXIST;
}

int unit_text_widens(const char *slug, const char *text, char **ret_why)
{
        Metadata m = { .slug = (char *) slug, .value[METADATA_NAME] = (char *) slug };
        UnitSpec spec = { .metadata = &m };
        _cleanup_free_ char *unit = NULL;

        if (asprintf(&unit, "ssi-%s.service", slug) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(essential); i++)
                if (!strstr(text, essential[i]))
                        return widens(ret_why, "%s lacks %.*s", unit, (int) strlen(essential[i]) - 2, essential[i] + 1);
        return judge(unit, text, strlen(text), allow_written, &spec, ret_why);
}
