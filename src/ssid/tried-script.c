/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "shared/log.h"
#include "tried-script.h"
#include "shared/io-util.h"

int tried_script_write(TriedScript *s, const char *id, const char *slug, const char *content)
{
        const char *runtime = secure_getenv("RUNTIME_DIRECTORY") ?: "/run/ssid";
        _cleanup_close_ int fd = -EBADF;

        if (asprintf(&s->dir, "%s/%s", runtime, id) < 0)
                return -ENOMEM;
        if (mkdir(s->dir, 0711) < 0)
                return -errno;
        if (asprintf(&s->path, "%s/%s", s->dir, slug) < 0)
                return -ENOMEM;
        fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        if (fd < 0)
                return -errno;
        return write_all(fd, content, strlen(content));
}

void tried_script_done(TriedScript *s)
{
        if (s->path && unlink(s->path) < 0 && errno != ENOENT)
                log_warning_errno(errno, "Cannot remove %s", s->path);
        if (s->dir && rmdir(s->dir) < 0 && errno != ENOENT)
                log_warning_errno(errno, "Cannot remove %s", s->dir);
        free(s->filename);
        free(s->dir);
        free(s->path);
}

static char *with_own_name(const TriedScript *s, const char *text)
{
        /* Do not use an overlong name: repeated many times, it could make the text huge. */
        const char *name = strlen(s->filename) <= NAME_MAX ? s->filename : strrchr(s->path, '/') + 1, *place;
        _cleanup_free_ char *result = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = open_memstream(&result, &n);
        if (!f)
                return NULL;
        while ((place = strstr(text, s->path))) {
                fprintf(f, "%.*s%s", (int) (place - text), text, name);
                text = place + strlen(s->path);
        }
        fputs(text, f);
        return fclose(TAKE_PTR(f)) == 0 ? TAKE_PTR(result) : NULL;
}

int tried_script_use_own_name(const TriedScript *s, char **text)
{
        char *named;

        if (!*text || !strstr(*text, s->path))
                return 0;
        named = with_own_name(s, *text);
        if (!named)
                return -ENOMEM;
        free(*text);
        *text = named;
        return 0;
}
