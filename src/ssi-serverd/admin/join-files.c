/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "admin/join-files.h"
#include "config/share.h"
#include "shared/io-util.h"

#define PUSH_PEM    "push.pem"
#define ADDRESS_MAX 512

static int open_dir(const char *path)
{
        int fd;

        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int write_path(FILE *out, const char *name, const char *dir, const char *file)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", dir, file) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return config_write_line(out, name, path);
}

static int write_settings(FILE *out, const char *dir, const JoinFiles *f)
{
        int r = 0;

        fputs("# Written by \"ssictl server join\". Do not edit: " SSI_SERVERD_CONF " overrides it.\n", out);
        json_object_object_foreach(f->settings, name, value)
        {
                const char *text = json_object_get_string(value);

                if (json_get_string(f->own_settings, name) || isempty(text) || config_is_same_value(name, text, ""))
                        continue;
                r = config_write_line(out, name, text);
                if (r < 0)
                        return r;
        }
        if (f->cert)
                r = write_path(out, "SSI_TLS_CERT", dir, JOIN_CERT);
        if (r >= 0 && f->cert)
                r = write_path(out, "SSI_TLS_KEY", dir, JOIN_CERT);
        if (r >= 0 && f->push_key)
                r = write_path(out, "SSI_PUSH_KEY", dir, PUSH_PEM);
        return r;
}

static int write_conf(int dir_fd, const char *dir, const JoinFiles *f)
{
        char *text = NULL;
        size_t n = 0;
        FILE *out;
        int r;

        out = open_memstream(&text, &n);
        if (!out)
                return -ENOMEM;
        r = write_settings(out, dir, f);
        if (fclose(out) != 0 && r >= 0)
                r = -ENOMEM;
        if (r >= 0)
                r = replace_file_at(dir_fd, JOIN_CONF, 0600, text, n);
        if (text)
                explicit_bzero(text, n);
        free(text);
        return r;
}

int join_files_write(const char *dir, const JoinFiles *f)
{
        _cleanup_close_ int fd = open_dir(dir);
        int r = fd;

        if (r >= 0 && f->cert)
                r = pem_file_write(fd, JOIN_CA, 0644, f->ca, NULL);
        if (r >= 0 && f->cert)
                r = pem_file_write(fd, JOIN_CERT, 0600, f->cert, f->key);
        if (r >= 0 && f->push_key)
                r = replace_file_at(fd, PUSH_PEM, 0600, f->push_key, strlen(f->push_key));
        if (r >= 0)
                r = replace_file_at(fd, JOIN_ADDRESS, 0644, f->address, strlen(f->address));
        if (r >= 0)
                r = write_conf(fd, dir, f);
        if (r < 0)
                return r;
        (void) unlinkat(fd, JOIN_LEFT, 0);
        return 0;
}

int join_undo(const char *dir)
{
        static const char *const names[] = { JOIN_CONF, JOIN_ADDRESS, PUSH_PEM, JOIN_CERT, JOIN_CA };
        _cleanup_close_ int fd = open_dir(dir);
        int r;

        if (fd < 0)
                return fd;
        r = replace_file_at(fd, JOIN_LEFT, 0644, "", 0);
        for (size_t i = 0; i < ELEMENTSOF(names) && r >= 0; i++)
                if (unlinkat(fd, names[i], 0) < 0 && errno != ENOENT)
                        r = -errno;
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        return r;
}

static bool exists(const char *dir, const char *name)
{
        _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd >= 0 && faccessat(fd, name, F_OK, 0) >= 0;
}

bool join_has_left(const char *dir)
{
        return exists(dir, JOIN_LEFT) && !exists(dir, JOIN_CONF);
}

int join_read_address(const char *dir, char **ret)
{
        _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), file = -EBADF;
        int r;

        if (fd < 0 || faccessat(fd, JOIN_CONF, F_OK, 0) < 0) {
                *ret = NULL;
                return 0;
        }
        file = openat(fd, JOIN_ADDRESS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (file < 0)
                return -errno;
        r = read_at_most(file, ADDRESS_MAX, ret, NULL);
        return r;
}
