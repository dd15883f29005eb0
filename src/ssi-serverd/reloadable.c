/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/log.h"
#include "reloadable.h"

#define FILE_MAX_LINES 1000

static const char *const names[] = { "SSI_LOG_LEVEL", "SSI_ACCESS_LOG" };

/* The values of the file, in the order of names; NULL for what it does not name. */
typedef struct FileValues {
        char *values[ELEMENTSOF(names)];
} FileValues;

static void file_values_done(FileValues *f)
{
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                free(f->values[i]);
}

/* A line as systemd reads it from an environment file, as far as these values need it: NAME=VALUE, perhaps quoted. */
static int read_line(char *line, FileValues *f)
{
        char *name = line + strspn(line, " \t"), *value = strchr(name, '=');
        size_t n;

        if (!value || name[0] == '#' || name[0] == ';')
                return 0;
        *value++ = '\0';
        value += strspn(value, " \t");
        n = strcspn(value, "\r\n");
        while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
                n--;
        if (n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0]) {
                value++;
                n -= 2;
        }
        value[n] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(name, names[i]))
                        return free_and_strdup(&f->values[i], value);
        return 0;
}

static int read_file(const char *path, FileValues *f)
{
        _cleanup_fclose_ FILE *file = NULL;
        char line[1024];
        int r;

        file = fopen(path, "re");
        if (!file)
                return errno == ENOENT ? 0 : -errno;
        for (unsigned i = 0; i < FILE_MAX_LINES && fgets(line, sizeof(line), file); i++) {
                r = read_line(line, f);
                if (r < 0)
                        return r;
        }
        return ferror(file) ? -EIO : 0;
}

static bool parse_boolean(const char *s)
{
        return streq(s, "1") || strcasecmp(s, "yes") == 0 || strcasecmp(s, "true") == 0 || strcasecmp(s, "on") == 0;
}

static void apply(size_t i, const char *value, Reloadable *s)
{
        int level;

        if (i == 0) {
                level = isempty(value) ? LOG_INFO : log_level_from_string(value);
                if (level < 0)
                        log_warning("\"%s\" is no level for SSI_LOG_LEVEL, ignoring it.", value);
                else
                        s->log_level = level;
        } else
                s->access_log = parse_boolean(strempty(value));
}

int reloadable_load(const char *path, Reloadable *s)
{
        _cleanup_(file_values_done) FileValues f = {};
        int r;

        r = read_file(path, &f);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *value = f.values[i];

                /* What the file once named and names no more stands in the environment still. */
                if (!value && !(s->from_file & 1U << i))
                        value = secure_getenv(names[i]);
                if (f.values[i])
                        s->from_file |= 1U << i;
                if (r >= 0 || !s->loaded)
                        apply(i, value, s);
        }
        s->loaded = true;
        return r;
}
