/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "shared/bus-owner.h"
#include "server-call.h"
#include "server.h"
#include "text.h"

typedef struct Transfer {
        BusOwner *backend;
        bool shown;
} Transfer;

/* Shows progress only on a terminal. */
static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *line = NULL;
        const char *operation, *step;
        Transfer *t = userdata;

        if (!bus_owner_sent(t->backend, m) || !isatty(STDERR_FILENO) ||
            sd_bus_message_read(m, "ss", &operation, &step) < 0)
                return 0;
        line = text_cut(step, 78);
        fprintf(stderr, "\r\x1b[K%s", strempty(line));
        t->shown = true;
        return 0;
}

/* Waits without a time limit as long as the backend is alive. */
static int transfer(Ctl *c, const char *member, int fd)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        Transfer t = {};
        int r;

        if (c->host) {
                ctl_say_error(
                        "A file cannot be passed to another host; run this command there, or use \"-\" with ssh(1).");
                return -CTL_EXIT_USAGE;
        }
        r = server_new_call(c, member, &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ha{sv}", fd, 0);
        if (r >= 0)
                r = bus_owner_new(c->bus, SERVER_BUS_NAME, NULL, NULL, &t.backend);
        if (r >= 0)
                r = sd_bus_match_signal(c->bus, &slot, SERVER_BUS_NAME, SERVER_PATH, SERVER_INTERFACE, "Progress",
                                        on_progress, &t);
        ctl_open_polkit_agent(c);
        if (r >= 0)
                r = ctl_call_patiently(c, m, &error, NULL);
        if (t.shown)
                fputs("\r\x1b[K", stderr);
        bus_owner_free(t.backend);
        return r < 0 ? server_bus_error(&error, r) : CTL_EXIT_OK;
}

/* The backup gets its final name only when it is complete. */
static int backup_to_file(Ctl *c, const char *path)
{
        _cleanup_free_ char *temporary = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        /* It is replaced, which a device or a FIFO would not survive. */
        if (lstat(path, &st) >= 0 && !S_ISREG(st.st_mode)) {
                ctl_say_error("%s is not a regular file. To write to it all the same: ssictl server backup - > %s",
                              path, path);
                return -CTL_EXIT_FAILURE;
        }
        if (asprintf(&temporary, "%s.partial", path) < 0) {
                temporary = NULL;
                return -CTL_EXIT_FAILURE;
        }
        /* The backup contains all users' data. */
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
                ctl_say_error("Cannot create %s: %s", temporary, strerror(errno));
                return -CTL_EXIT_FAILURE;
        }
        r = transfer(c, "Backup", fd);
        if (r >= 0 && (fsync(fd) < 0 || rename(temporary, path) < 0)) {
                ctl_say_error("Cannot write %s: %s", path, strerror(errno));
                r = -CTL_EXIT_FAILURE;
        }
        if (r < 0)
                (void) unlink(temporary);
        return r;
}

int server_backup(Ctl *c, int argc, char *argv[])
{
        _cleanup_free_ char *sentence = NULL;
        struct stat st;
        int r;

        if (streq(argv[0], "-")) {
                if (isatty(STDOUT_FILENO)) {
                        ctl_say_error(
                                "Refusing to write a binary backup to a terminal; name a file, or redirect the output.");
                        return CTL_EXIT_USAGE;
                }
                return transfer(c, "Backup", STDOUT_FILENO);
        }
        r = backup_to_file(c, argv[0]);
        if (r < 0)
                return r;
        if (asprintf(&sentence, "Wrote %s (%lld bytes). Only its owner can read it; keep it that way.", argv[0],
                     stat(argv[0], &st) < 0 ? 0LL : (long long) st.st_size) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, "backed-up", argv[0], sentence);
}

int server_restore(Ctl *c, int argc, char *argv[])
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (streq(argv[0], "-") && isatty(STDIN_FILENO)) {
                ctl_say_error("Refusing to read a binary backup from a terminal; name a file, or redirect the input.");
                return CTL_EXIT_USAGE;
        }
        fd = streq(argv[0], "-") ? dup(STDIN_FILENO) : open(argv[0], O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
                ctl_say_error("Cannot open %s: %s", argv[0], strerror(errno));
                return -CTL_EXIT_FAILURE;
        }
        r = ctl_confirm(c, "Replace everything in the backend's database by the backup %s?", argv[0]);
        if (r >= 0)
                r = transfer(c, "Restore", fd);
        if (r < 0)
                return r;
        return ctl_print_done(c, "restored", argv[0], "Restored. Agents resend what the backup lacks.");
}
