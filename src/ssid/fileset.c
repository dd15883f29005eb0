/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fileset.h"
#include "shared/slug.h"
#include "shared/io-util.h"

#define SUFFIX_NEW ".ssi-new"
#define SUFFIX_OLD ".ssi-old"
#define SUFFIX_TXN ".ssi-txn"

/* The record is one line: the operation, then for each file whether it existed before ('1') or not ('0'). */
#define RECORD_INSTALL "install "
#define RECORD_REMOVE  "remove "

typedef struct File {
        int dir_fd; /* borrowed */
        char *name, *new_name, *old_name;
        mode_t mode;
        bool existed;
} File;

struct Fileset {
        int script_fd, unit_fd;
        char *record_name;
        File files[_FILESET_MAX];
};

Fileset *fileset_free(Fileset *f)
{
        if (!f)
                return NULL;
        for (size_t i = 0; i < _FILESET_MAX; i++) {
                free(f->files[i].name);
                free(f->files[i].new_name);
                free(f->files[i].old_name);
        }
        free(f->record_name);
        safe_close(f->script_fd);
        safe_close(f->unit_fd);
        free(f);
        return NULL;
}

static int open_dir(const char *path, bool create)
{
        int fd;

        if (create && mkdir(path, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int file_init(File *f, int dir_fd, char *name_taken, mode_t mode)
{
        f->dir_fd = dir_fd;
        f->name = name_taken;
        f->mode = mode;
        if (!f->name)
                return -ENOMEM;
        if (asprintf(&f->new_name, ".%s" SUFFIX_NEW, f->name) < 0)
                return -ENOMEM;
        if (asprintf(&f->old_name, ".%s" SUFFIX_OLD, f->name) < 0)
                return -ENOMEM;
        return 0;
}

static int fileset_new(const char *script_dir, const char *unit_dir, const char *slug, Fileset **ret)
{
        _cleanup_(fileset_freep) Fileset *f = NULL;
        int r;

        if (!slug_is_valid(slug))
                return -EINVAL;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->unit_fd = -EBADF;
        f->script_fd = open_dir(script_dir, true);
        if (f->script_fd < 0)
                return f->script_fd;
        f->unit_fd = open_dir(unit_dir, true);
        if (f->unit_fd < 0)
                return f->unit_fd;
        if (asprintf(&f->record_name, ".%s" SUFFIX_TXN, slug) < 0)
                return -ENOMEM;
        if ((r = file_init(f->files + FILESET_SCRIPT, f->script_fd, strdup(slug), 0755)) < 0 ||
            (r = file_init(f->files + FILESET_SERVICE, f->unit_fd, slug_to_unit(slug, ".service"), 0644)) < 0 ||
            (r = file_init(f->files + FILESET_TIMER, f->unit_fd, slug_to_unit(slug, ".timer"), 0644)) < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

static bool is_there(int dir_fd, const char *name)
{
        int saved = errno;
        struct stat st;
        bool there = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0;

        errno = saved;
        return there;
}

/* On a read-only file system, unlinkat(2) fails even if the file does not exist. */
static int unlink_if_there(int dir_fd, const char *name)
{
        if (unlinkat(dir_fd, name, 0) >= 0 || errno == ENOENT)
                return 0;
        return errno == EROFS && !is_there(dir_fd, name) ? 0 : -errno;
}

static int sync_dirs(Fileset *f)
{
        return fsync(f->script_fd) < 0 || fsync(f->unit_fd) < 0 ? -errno : 0;
}

static void drop_new(Fileset *f)
{
        for (size_t i = 0; i < _FILESET_MAX; i++)
                (void) unlink_if_there(f->files[i].dir_fd, f->files[i].new_name);
}

static int write_record(Fileset *f, const char *operation)
{
        char record[32];
        int n;

        for (size_t i = 0; i < _FILESET_MAX; i++) {
                File *file = f->files + i;
                struct stat st;

                if (fstatat(file->dir_fd, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (errno != ENOENT)
                                return -errno;
                        file->existed = false;
                } else if (S_ISDIR(st.st_mode))
                        return -EISDIR;
                else
                        file->existed = true;
        }
        n = snprintf(record, sizeof(record), "%s%d%d%d\n", operation, f->files[FILESET_SCRIPT].existed,
                     f->files[FILESET_SERVICE].existed, f->files[FILESET_TIMER].existed);
        n = write_file_at(f->script_fd, f->record_name, 0600, record, (size_t) n);
        return n < 0 ? n : sync_dirs(f);
}

static int read_record(Fileset *f, bool *ret_removal)
{
        _cleanup_close_ int fd = -EBADF;
        const char *flags;
        char record[32];
        bool removal;
        ssize_t n;

        fd = openat(f->script_fd, f->record_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, record, sizeof(record) - 1);
        if (n < 0)
                return -errno;
        record[n] = '\0';
        removal = startswith(record, RECORD_REMOVE);
        flags = startswith(record, RECORD_REMOVE) ?: startswith(record, RECORD_INSTALL);
        if (!flags || strspn(flags, "01") != _FILESET_MAX)
                return -EBADMSG;
        for (size_t i = 0; i < _FILESET_MAX; i++)
                f->files[i].existed = flags[i] == '1';
        *ret_removal = removal;
        return 0;
}

static int put_in_place(Fileset *f)
{
        for (size_t i = 0; i < _FILESET_MAX; i++) {
                File *file = f->files + i;

                if (file->existed) {
                        (void) unlink_if_there(file->dir_fd, file->old_name);
                        if (linkat(file->dir_fd, file->name, file->dir_fd, file->old_name, 0) < 0)
                                return -errno;
                }
                if (renameat(file->dir_fd, file->new_name, file->dir_fd, file->name) < 0)
                        return -errno;
        }
        return sync_dirs(f);
}

int fileset_install(const char *script_dir, const char *unit_dir, const char *slug,
                    const FilesetContent content[static _FILESET_MAX], Fileset **ret)
{
        _cleanup_(fileset_freep) Fileset *f = NULL;
        int r;

        r = fileset_new(script_dir, unit_dir, slug, &f);
        if (r < 0)
                return r;
        for (size_t i = 0; i < _FILESET_MAX; i++) {
                const File *file = f->files + i;

                r = write_file_at(file->dir_fd, file->new_name, file->mode, content[i].data, content[i].size);
                if (r < 0) {
                        drop_new(f);
                        return r;
                }
        }
        r = write_record(f, RECORD_INSTALL);
        if (r < 0) {
                drop_new(f);
                (void) unlink_if_there(f->script_fd, f->record_name);
                return r;
        }
        r = put_in_place(f);
        if (r < 0) {
                (void) fileset_rollback(f);
                return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

int fileset_begin_removal(const char *script_dir, const char *unit_dir, const char *slug, Fileset **ret)
{
        _cleanup_(fileset_freep) Fileset *f = NULL;
        int r;

        r = fileset_new(script_dir, unit_dir, slug, &f);
        if (r < 0)
                return r;
        r = write_record(f, RECORD_REMOVE);
        if (r < 0) {
                (void) unlink_if_there(f->script_fd, f->record_name);
                return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

int fileset_put_aside(Fileset *f)
{
        for (size_t i = 0; i < _FILESET_MAX; i++) {
                File *file = f->files + i;

                if (!is_there(file->dir_fd, file->name))
                        continue;
                (void) unlink_if_there(file->dir_fd, file->old_name);
                if (renameat(file->dir_fd, file->name, file->dir_fd, file->old_name) < 0)
                        return -errno;
        }
        return sync_dirs(f);
}

int fileset_replace_unit(const char *unit_dir, const char *unit, const char *data, size_t size)
{
        _cleanup_free_ char *new_name = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (asprintf(&new_name, ".%s" SUFFIX_NEW, unit) < 0)
                return -ENOMEM;
        fd = open_dir(unit_dir, false);
        if (fd < 0)
                return fd;
        r = write_file_at(fd, new_name, 0644, data, size);
        if (r < 0)
                return r;
        if (renameat(fd, new_name, fd, unit) < 0) {
                r = -errno;
                (void) unlink_if_there(fd, new_name);
                return r;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

int fileset_commit(Fileset *f)
{
        int r;

        r = unlink_if_there(f->script_fd, f->record_name);
        if (r < 0)
                return r;
        for (size_t i = 0; i < _FILESET_MAX; i++)
                (void) unlink_if_there(f->files[i].dir_fd, f->files[i].old_name);
        drop_new(f);
        return sync_dirs(f);
}

/* The kept file and the original may still be the same inode. rename(2) then does nothing, so unlink afterward. */
static int restore_file(File *file)
{
        if (!file->existed)
                return unlink_if_there(file->dir_fd, file->name);
        if (!is_there(file->dir_fd, file->old_name))
                return 0;
        if (renameat(file->dir_fd, file->old_name, file->dir_fd, file->name) < 0)
                return -errno;
        return unlink_if_there(file->dir_fd, file->old_name);
}

int fileset_rollback(Fileset *f)
{
        int r = 0;

        for (size_t i = 0; i < _FILESET_MAX; i++) {
                int k = restore_file(f->files + i);

                r = r < 0 ? r : k;
        }
        drop_new(f);
        if (r < 0)
                return r;
        r = sync_dirs(f);
        if (r < 0)
                return r;
        return unlink_if_there(f->script_fd, f->record_name);
}

static int recover_one(const char *script_dir, const char *unit_dir, const char *slug,
                       void (*recovered)(const char *slug, bool removed, void *userdata), void *userdata)
{
        _cleanup_(fileset_freep) Fileset *f = NULL;
        bool removal = false, gone;
        int r;

        r = fileset_new(script_dir, unit_dir, slug, &f);
        if (r < 0)
                return r;
        r = read_record(f, &removal);
        if (r == -EBADMSG) {
                /* The process was killed while it wrote the record: nothing has changed yet. */
                drop_new(f);
                return unlink_if_there(f->script_fd, f->record_name);
        }
        if (r < 0)
                return r;
        if (removal) {
                r = fileset_put_aside(f);
                if (r >= 0)
                        r = fileset_commit(f);
        } else
                r = fileset_rollback(f);
        if (r < 0)
                return r;
        gone = removal || !f->files[FILESET_SERVICE].existed;
        recovered(slug, gone, userdata);
        return 0;
}

/* Removes what step 1 left behind, and what a commit had no time to remove. */
static void sweep(const char *path)
{
        DIR *d = opendir(path);
        struct dirent *e;

        if (!d)
                return;
        while ((e = readdir(d)))
                if (e->d_name[0] == '.' && (endswith(e->d_name, SUFFIX_NEW) || endswith(e->d_name, SUFFIX_OLD)))
                        (void) unlinkat(dirfd(d), e->d_name, 0);
        closedir(d);
}

int fileset_recover(const char *script_dir, const char *unit_dir,
                    void (*recovered)(const char *slug, bool removed, void *userdata), void *userdata)
{
        struct dirent *e;
        int r = 0;
        DIR *d;

        d = opendir(script_dir);
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while ((e = readdir(d))) {
                const char *suffix = endswith(e->d_name, SUFFIX_TXN);
                char slug[SLUG_MAX + 1];
                size_t n;
                int k;

                if (!suffix || e->d_name[0] != '.')
                        continue;
                n = (size_t) (suffix - e->d_name) - 1;
                if (n > SLUG_MAX)
                        continue;
                memcpy(slug, e->d_name + 1, n);
                slug[n] = '\0';
                if (!slug_is_valid(slug))
                        continue;
                k = recover_one(script_dir, unit_dir, slug, recovered, userdata);
                r = r < 0 ? r : k;
        }
        closedir(d);
        if (r >= 0) {
                sweep(script_dir);
                sweep(unit_dir);
        }
        return r;
}
