/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "credentials.h"
#include "shared/json-util.h"
#include "shared/io-util.h"

#define FILE_NAME     "credentials.json"
#define FILE_SIZE_MAX (512 * 1024)

static int open_dir(const char *dir)
{
        int fd;

        fd = open(dir, O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int read_all(int fd, char *buffer, size_t size)
{
        size_t n = 0;

        while (n < size) {
                ssize_t k = read(fd, buffer + n, size - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        return -EBADMSG;
                n += (size_t) k;
        }
        return 0;
}

static int dup_member(json_object *o, const char *key, bool required, char **ret)
{
        const char *s = json_get_string(o, key);

        if (isempty(s))
                return required ? -EBADMSG : 0;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int parse(const char *s, size_t n, Credentials *ret)
{
        _cleanup_json_ json_object *o = NULL;
        Credentials c = {};
        int r;

        r = json_parse(s, n, &o);
        if (r < 0)
                return r;
        if ((r = dup_member(o, "server_url", true, &c.server_url)) < 0 ||
            (r = dup_member(o, "agent_id", true, &c.agent_id)) < 0 ||
            (r = dup_member(o, "api_key", true, &c.api_key)) < 0 ||
            (r = dup_member(o, "next_api_key", false, &c.next_api_key)) < 0 ||
            (r = dup_member(o, "ca", false, &c.ca)) < 0) {
                credentials_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}

int credentials_load(const char *dir, Credentials *ret)
{
        _cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        struct stat st;
        int r;

        dir_fd = open_dir(dir);
        if (dir_fd < 0)
                return dir_fd;
        fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size > FILE_SIZE_MAX)
                return -EBADMSG;
        if (st.st_mode & 077)
                return -EPERM;
        text = malloc((size_t) st.st_size + 1);
        if (!text)
                return -ENOMEM;
        r = read_all(fd, text, (size_t) st.st_size);
        if (r >= 0)
                r = parse(text, (size_t) st.st_size, ret);
        explicit_bzero(text, (size_t) st.st_size);
        return r;
}

static int to_json(const Credentials *c, json_object **ret)
{
        _cleanup_json_ json_object *o = NULL;
        int r;

        o = json_object_new_object();
        if (!o)
                return -ENOMEM;
        if ((r = json_add_string(o, "server_url", c->server_url)) < 0 ||
            (r = json_add_string(o, "agent_id", c->agent_id)) < 0 ||
            (r = json_add_string(o, "api_key", c->api_key)) < 0 || (r = json_add_string(o, "ca", c->ca)) < 0)
                return r;
        if (c->next_api_key) {
                r = json_add_string(o, "next_api_key", c->next_api_key);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(o);
        return 0;
}

int credentials_save(const char *dir, const Credentials *c)
{
        _cleanup_close_ int dir_fd = -EBADF;
        _cleanup_json_ json_object *o = NULL;
        const char *text;
        int r;

        r = to_json(c, &o);
        if (r < 0)
                return r;
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
        if (!text)
                return -ENOMEM;
        dir_fd = open_dir(dir);
        if (dir_fd < 0)
                return dir_fd;
        return replace_file_at(dir_fd, FILE_NAME, 0600, text, strlen(text));
}

int credentials_remove(const char *dir)
{
        _cleanup_close_ int dir_fd = -EBADF;

        dir_fd = open_dir(dir);
        if (dir_fd < 0)
                return dir_fd;
        if (unlinkat(dir_fd, FILE_NAME, 0) < 0)
                return -errno;
        return fsync(dir_fd) < 0 ? -errno : 0;
}

static char *key_free(char *key)
{
        if (key)
                explicit_bzero(key, strlen(key));
        free(key);
        return NULL;
}

void credentials_settle_key(Credentials *c, bool next_is_valid)
{
        if (!c->next_api_key)
                return;
        if (!next_is_valid) {
                c->next_api_key = key_free(c->next_api_key);
                return;
        }
        key_free(c->api_key);
        c->api_key = TAKE_PTR(c->next_api_key);
}

void credentials_done(Credentials *c)
{
        free(c->server_url);
        free(c->agent_id);
        key_free(c->api_key);
        key_free(c->next_api_key);
        free(c->ca);
        *c = (Credentials){};
}
