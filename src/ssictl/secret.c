/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <termios.h>

#include "secret.h"

void secret_freep(char **secret)
{
        if (*secret)
                explicit_bzero(*secret, strlen(*secret));
        free(*secret);
}

/* Restores the terminal whatever happens between. */
typedef struct QuietTerminal {
        int fd;
        struct termios before;
} QuietTerminal;

static void quiet_terminal_done(QuietTerminal *t)
{
        if (t->fd < 0)
                return;
        (void) tcsetattr(t->fd, TCSAFLUSH, &t->before);
        close(t->fd);
}

static int ask(const char *prompt, char buffer[static SECRET_SIZE_MAX + 2])
{
        _cleanup_(quiet_terminal_done) QuietTerminal t = { .fd = -EBADF };
        struct termios quiet;
        ssize_t n;
        int fd;

        fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (tcgetattr(fd, &t.before) < 0) {
                close(fd);
                return -ENOTTY;
        }
        t.fd = fd;
        quiet = t.before;
        quiet.c_lflag &= ~(tcflag_t) ECHO;
        if (tcsetattr(fd, TCSAFLUSH, &quiet) < 0)
                return -errno;
        dprintf(fd, "%s", prompt);
        n = read(fd, buffer, SECRET_SIZE_MAX + 1);
        dprintf(fd, "\n");
        if (n < 0)
                return -errno;
        buffer[n] = '\0';
        buffer[strcspn(buffer, "\r\n")] = '\0';
        return 0;
}

int secret_ask(const char *prompt, char **ret)
{
        char buffer[SECRET_SIZE_MAX + 2];
        int r;

        r = ask(prompt, buffer);
        if (r < 0) {
                ctl_say_error("Cannot ask on the terminal: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        *ret = strdup(buffer);
        explicit_bzero(buffer, sizeof(buffer));
        return *ret ? 0 : -CTL_EXIT_FAILURE;
}

int secret_read(const char *path, char **ret)
{
        int r;

        r = ctl_read_file(path, SECRET_SIZE_MAX, ret);
        if (r >= 0)
                (*ret)[strcspn(*ret, "\r\n")] = '\0';
        return r;
}

/* Other users can see an argument in the process list, at least until it is overwritten here. */
static int take_argument(char *arg, char **ret)
{
        *ret = strdup(arg);
        if (!*ret)
                return -CTL_EXIT_FAILURE;
        memset(arg, 'x', strlen(arg));
        return 0;
}

/* arg is NULL when none is given. */
int secret_take(const Ctl *c, char *arg, const char *missing, char **ret)
{
        _cleanup_secret_ char *token = NULL;
        int r;

        if (arg && c->token_file) {
                ctl_say_error("Give the token or --token-file, not both.");
                return -CTL_EXIT_USAGE;
        }
        if (c->token_file)
                r = secret_read(c->token_file, &token);
        else if (arg && !streq(arg, "-"))
                r = take_argument(arg, &token);
        else if (!arg && isatty(STDIN_FILENO))
                r = secret_ask("Token: ", &token);
        else
                r = secret_read("-", &token);
        if (r < 0)
                return r;
        if (isempty(token)) {
                ctl_say_error("%s", missing);
                return -CTL_EXIT_USAGE;
        }
        *ret = TAKE_PTR(token);
        return 0;
}
