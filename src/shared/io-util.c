/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "shared/io-util.h"

int write_all(int fd, const void *data, size_t n)
{
        const char *p = data;

        while (n > 0) {
                ssize_t k = write(fd, p, n);

                if (k < 0 && errno != EINTR)
                        return -errno;
                if (k > 0) {
                        p += k;
                        n -= (size_t) k;
                }
        }
        return 0;
}

int read_at_most(int fd, size_t max, char **ret, size_t *ret_n)
{
        _cleanup_free_ char *buffer = malloc(max + 1);
        size_t n = 0;

        if (!buffer)
                return -ENOMEM;
        while (n < max) {
                ssize_t k = read(fd, buffer + n, max - n);

                if (k < 0 && errno != EINTR)
                        return -errno;
                if (k == 0)
                        break;
                if (k > 0)
                        n += (size_t) k;
        }
        buffer[n] = '\0';
        *ret = TAKE_PTR(buffer);
        if (ret_n)
                *ret_n = n;
        return 0;
}

int write_file_at(int dir_fd, const char *name, mode_t mode, const void *data, size_t n)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, data, n);
        if (r >= 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
                r = -errno;
        if (r < 0)
                (void) unlinkat(dir_fd, name, 0);
        return r;
}

int replace_file_at(int dir_fd, const char *name, mode_t mode, const void *data, size_t n)
{
        char temporary[NAME_MAX + 1];
        int r;

        if ((size_t) snprintf(temporary, sizeof(temporary), ".%s.new", name) >= sizeof(temporary))
                return -ENAMETOOLONG;
        r = write_file_at(dir_fd, temporary, mode, data, n);
        if (r < 0)
                return r;
        if (renameat(dir_fd, temporary, dir_fd, name) >= 0)
                return fsync(dir_fd) < 0 ? -errno : 0;
        r = -errno;
        (void) unlinkat(dir_fd, temporary, 0);
        return r;
}

int credential_path(const char *name, char **ret)
{
        const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;

        if (isempty(dir) || dir[0] != '/')
                return 0;
        if (asprintf(&path, "%s/%s", dir, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (access(path, F_OK) < 0)
                return errno == ENOENT ? 0 : -errno;
        *ret = TAKE_PTR(path);
        return 1;
}
