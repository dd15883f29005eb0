/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "http/internal.h"
#include "http/static-files.h"
#include "shared/io-util.h"

#define FILE_MAX ((off_t) 16 * 1024 * 1024)

struct StaticFiles {
        int dir;
};

static const struct {
        const char *suffix, *type;
} content_types[] = {
        { ".html", "text/html; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" },
        { ".mjs", "text/javascript; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".json", "application/json" },
        { ".webmanifest", "application/manifest+json" },
        { ".svg", "image/svg+xml; charset=utf-8" },
        { ".png", "image/png" },
        { ".ico", "image/x-icon" },
        { ".woff2", "font/woff2" },
        { ".txt", "text/plain; charset=utf-8" },
};

int static_files_new(const char *dir, StaticFiles **ret)
{
        StaticFiles *f;

        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (f->dir < 0) {
                int r = -errno;

                free(f);
                return r;
        }
        *ret = f;
        return 0;
}

StaticFiles *static_files_free(StaticFiles *f)
{
        if (!f)
                return NULL;
        safe_close(f->dir);
        free(f);
        return NULL;
}

static const char *content_type(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(content_types); i++)
                if (endswith(name, content_types[i].suffix))
                        return content_types[i].type;
        return NULL;
}

/* Opens one path component. -ENOENT also for what must stay hidden: hidden files, symlinks, "..". (openat2()
 * would do all components at once, but RestrictSUIDSGID= forbids it.) */
static int open_at(int dir, const char *name, size_t n, int flags)
{
        char segment[NAME_MAX + 1];
        int fd;

        if (n == 0 || n > NAME_MAX || name[0] == '.')
                return -ENOENT;
        memcpy(segment, name, n);
        segment[n] = '\0';
        fd = openat(dir, segment, flags | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ENOENT;
        return fd;
}

/* name: relative. */
static int open_file(StaticFiles *f, const char *name, struct stat *ret_stat)
{
        _cleanup_close_ int dir = -EBADF, fd = -EBADF;
        const char *slash;

        for (; (slash = strchr(name, '/')); name = slash + 1) {
                int next = open_at(dir >= 0 ? dir : f->dir, name, (size_t) (slash - name), O_PATH | O_DIRECTORY);

                if (next < 0)
                        return next;
                safe_close(dir);
                dir = next;
        }
        fd = open_at(dir >= 0 ? dir : f->dir, name, strlen(name), O_RDONLY | O_NONBLOCK);
        if (fd < 0)
                return fd;
        if (fstat(fd, ret_stat) < 0)
                return -errno;
        if (!S_ISREG(ret_stat->st_mode) || ret_stat->st_size > FILE_MAX)
                return -ENOENT;
        return TAKE_FD(fd);
}

static int read_file(int fd, size_t size, char **ret)
{
        _cleanup_free_ char *data = NULL;
        size_t n;
        int r;

        r = read_at_most(fd, size, &data, &n);
        if (r < 0)
                return r;
        if (n < size)
                return -EIO; /* truncated while we read it */
        *ret = TAKE_PTR(data);
        return 0;
}

/* Whether the If-None-Match list contains the tag; weak comparison. */
static bool etag_matches(const char *list, const char *etag)
{
        for (const char *p = list; p && (p = strstr(p, etag)); p++) {
                char after = p[strlen(etag)];

                if (after == '\0' || after == ',' || after == ' ')
                        return true;
        }
        return streq_ptr(list, "*");
}

static void serve_file(HttpRequest *req, const char *type, int fd, const struct stat *st)
{
        _cleanup_free_ char *data = NULL;
        char etag[64];

        snprintf(etag, sizeof(etag), "\"%llx-%llx-%llx\"", (unsigned long long) st->st_ino,
                 (unsigned long long) st->st_size,
                 (unsigned long long) st->st_mtim.tv_sec * 1000000000ULL + (unsigned long long) st->st_mtim.tv_nsec);
        if (http_respond_add_header(req, "ETag", etag) < 0)
                http_respond_problem(req, 500, "out-of-memory", NULL);
        else if (etag_matches(req->if_none_match, etag))
                respond_bytes(req, 304, NULL, "no-cache", NULL, 0);
        else if (read_file(fd, (size_t) st->st_size, &data) < 0)
                http_respond_problem(req, 500, "unreadable", "The file cannot be read.");
        else
                respond_bytes(req, 200, type, "no-cache", data, (size_t) st->st_size);
}

void static_files_serve(StaticFiles *f, HttpRequest *req)
{
        const char *name = req->path + strspn(req->path, "/");
        const char *last = strrchr(req->path, '/'), *type;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        /* Any address without a dot is a page, except below /.well-known/: there, programs ask for what cannot exist, to learn
         * whether 200 means anything. */
        if (last && !strchr(last, '.') && !startswith(name, ".well-known/"))
                name = "index.html";
        /* What an editor or a backup left in the folder has none of these types. */
        type = content_type(name);
        fd = type ? open_file(f, name, &st) : -ENOENT;
        if (fd == -ENOENT)
                http_respond_problem(req, 404, "not-found", "The page does not exist.");
        else if (fd < 0)
                http_respond_problem(req, 503, "busy", "The file cannot be opened right now; try again.");
        else
                serve_file(req, type, fd, &st);
}
