/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <termios.h>

#include "server-call.h"
#include "server.h"

#define PASSWORD_SIZE_MAX 1024U

/* Restores the terminal in any case. */
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

static int ask(const char *prompt, char buffer[static PASSWORD_SIZE_MAX + 2])
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
        n = read(fd, buffer, PASSWORD_SIZE_MAX + 1);
        dprintf(fd, "\n");
        if (n < 0)
                return -errno;
        buffer[n] = '\0';
        buffer[strcspn(buffer, "\r\n")] = '\0';
        return 0;
}

/* Reads a password twice from the terminal, without echo, or else a line of standard input. Never from an argument,
 * which others can see. */
static int read_password(char **ret)
{
        char first[PASSWORD_SIZE_MAX + 2], second[PASSWORD_SIZE_MAX + 2];
        int r;

        if (!isatty(STDIN_FILENO)) {
                r = ctl_read_file("-", PASSWORD_SIZE_MAX, ret);
                if (r >= 0)
                        (*ret)[strcspn(*ret, "\r\n")] = '\0';
                return r;
        }
        r = ask("Password: ", first);
        if (r >= 0)
                r = ask("Once more: ", second);
        if (r < 0) {
                ctl_say_error("Cannot ask for a password: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        r = 0;
        if (!streq(first, second)) {
                ctl_say_error("The passwords do not match.");
                r = -CTL_EXIT_FAILURE;
        } else if (!(*ret = strdup(first)))
                r = -CTL_EXIT_FAILURE;
        explicit_bzero(first, sizeof(first));
        explicit_bzero(second, sizeof(second));
        return r;
}

int server_users(Ctl *c, int argc, char *argv[])
{
        static const ServerColumn columns[] = {
                { "email", "EMAIL" },
                { "servers", "SERVERS" },
                { "created_usec", "SINCE" },
                { "id", "ID" },
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        const char *id, *email;
        uint64_t created;
        unsigned servers;
        int r;

        r = server_call_strings(c, "ListUsers", 0, NULL, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sstu)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sstu)", &id, &email, &created, &servers)) > 0) {
                json_object *o = json_object_new_object();

                if (!rows || !o || json_object_array_add(rows, o) < 0 || json_add_string(o, "id", id) < 0 ||
                    json_add_string(o, "email", email) < 0 ||
                    json_add_int64(o, "created_usec", (int64_t) created) < 0 ||
                    json_add_int64(o, "servers", servers) < 0)
                        return ctl_print_json(NULL);
        }
        if (r < 0) {
                ctl_say_error("Cannot read the backend's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        return server_print_table(c, TAKE_PTR(rows), columns, ELEMENTSOF(columns),
                                  "There are no accounts yet. Make one: ssictl server add-user EMAIL");
}

int server_make_user(Ctl *c, const char *email, char **ret_id)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *password = NULL;
        const char *id;
        int r;

        r = read_password(&password);
        if (r < 0)
                return r;

        const char *args[] = { email, password };

        r = server_call_strings(c, "AddUser", 2, args, &reply);
        explicit_bzero(password, strlen(password));
        if (r < 0)
                return r;
        if (sd_bus_message_read(reply, "s", &id) < 0 || !(*ret_id = strdup(id)))
                return -CTL_EXIT_FAILURE;
        return 0;
}

int server_add_user(Ctl *c, int argc, char *argv[])
{
        _cleanup_free_ char *id = NULL, *sentence = NULL;
        int r;

        r = server_make_user(c, argv[0], &id);
        if (r < 0)
                return r;
        if (asprintf(&sentence, "Added %s (%s).", argv[0], id) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, "user-added", argv[0], sentence);
}

int server_passwd(Ctl *c, int argc, char *argv[])
{
        _cleanup_free_ char *password = NULL;
        int r;

        r = read_password(&password);
        if (r < 0)
                return r;

        const char *args[] = { argv[0], password };

        r = server_call_strings(c, "SetPassword", 2, args, NULL);
        explicit_bzero(password, strlen(password));
        if (r < 0)
                return r;
        return ctl_print_done(
                c, "password-changed", argv[0],
                "Changed the password; ended the user's sessions, API tokens and pending links. Channels, browsers and public pages "
                "remain: have the user review them.");
}

int server_remove_user(Ctl *c, int argc, char *argv[])
{
        const char *args[] = { argv[0] };
        int r;

        r = server_call_strings(c, "RemoveUser", 1, args, NULL);
        if (r < 0)
                return r;
        return ctl_print_done(c, "user-removed", argv[0], "Removed the account, its servers and their history.");
}
