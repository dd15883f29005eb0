/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bash-scan.h"
#include "command-check.h"

#define FOUND_MAX  100U
#define SLICE_SIZE ((size_t) 64 * 1024)

typedef enum Need {
        NEED_BUS,
        NEED_JOURNAL,
        NEED_SOCKET,
        NEED_PACKETS,
        NEED_RIGHTS,
} Need;

static const struct {
        const char *name;
        Need need;
} commands[] = {
        { "systemctl", NEED_BUS },       { "busctl", NEED_BUS },         { "loginctl", NEED_BUS },
        { "timedatectl", NEED_BUS },     { "hostnamectl", NEED_BUS },    { "localectl", NEED_BUS },
        { "journalctl", NEED_JOURNAL },  { "docker", NEED_SOCKET },      { "ping", NEED_PACKETS },
        { "check_ping", NEED_PACKETS },  { "check_icmp", NEED_PACKETS }, { "sudo", NEED_RIGHTS },
        { "ssi_unit_active", NEED_BUS },
};

/* The lengths of these names, in bytes. */
#define NAME_MIN     (sizeof("ping") - 1)
#define NAME_MAX_LEN (sizeof("ssi_unit_active") - 1)

/* The groups of other users are not known: assume that they give access. */
static bool works(const Metadata *m, Need need)
{
        const char *user = m->value[METADATA_USER];

        if (m->sandbox_off || streq_ptr(user, "root"))
                return true;
        switch (need) {
        case NEED_BUS:
                return user;
        case NEED_JOURNAL:
        case NEED_SOCKET:
                return user && !streq(user, "ssi-script") && (need == NEED_JOURNAL || !streq(user, "ssi-journal"));
        default:
                return false;
        }
}

static int warn(Metadata *m, unsigned line, const char *name, Need need)
{
        static const char *const texts[] = {
                [NEED_BUS] =
                        "asks over the system bus, which refuses dynamic users; add \"# user: ssi-script\" to the header",
                [NEED_JOURNAL] =
                        "does not see the system's journal as this user; add \"# user: ssi-journal\" to the header",
                [NEED_SOCKET] =
                        "cannot reach its daemon as this user; name one that can in the header, \"# user: NAME\"",
                [NEED_PACKETS] =
                        "may not send ICMP packets in this sandbox unless the host allows everyone to; \"# user: root\" may",
                [NEED_RIGHTS] =
                        "gives no rights in the sandbox; name a user that has them in the header, \"# user: NAME\"",
        };

        return metadata_add_problem(m, line, true, "\"%s\" %s", name, texts[need]);
}

static bool equals(const char *s, size_t n, const char *word)
{
        return n == strlen(word) && memcmp(s, word, n) == 0;
}

/* Finds a command by its name, with or without one of its usual folders. A script can have half a million words: most are
 * rejected by their length. */
static int find_command(const char *s, size_t n)
{
        static const char *const folders[] = { "",          "/bin/",      "/sbin/",
                                               "/usr/bin/", "/usr/sbin/", "/usr/lib/nagios/plugins/" };
        const char *slash = memrchr(s, '/', n), *name = slash ? slash + 1 : s;
        size_t n_folder = (size_t) (name - s), n_name = n - n_folder;
        bool known = false;

        if (n_name < NAME_MIN || n_name > NAME_MAX_LEN)
                return -1;
        for (size_t k = 0; k < ELEMENTSOF(folders) && !known; k++)
                known = equals(s, n_folder, folders[k]);
        for (size_t i = 0; i < ELEMENTSOF(commands) && known; i++)
                if (name[0] == commands[i].name[0] && equals(name, n_name, commands[i].name))
                        return (int) i;
        return -1;
}

struct CommandCheck {
        BashScan *scan;
        struct {
                unsigned line;
                int command;
        } calls[FOUND_MAX];
        size_t n_calls;
        bool own[ELEMENTSOF(commands)]; /* the script defines a function of this name */
};

static void on_word(const BashWord *word, void *userdata)
{
        int i = find_command(word->s, word->n);
        CommandCheck *c = userdata;

        if (i < 0)
                return;
        if (word->function)
                c->own[i] = true;
        else if (c->n_calls < FOUND_MAX) {
                c->calls[c->n_calls].line = word->line;
                c->calls[c->n_calls++].command = i;
        }
}

CommandCheck *command_check_free(CommandCheck *c)
{
        if (!c)
                return NULL;
        bash_scan_free(c->scan);
        free(c);
        return NULL;
}

int command_check_new(const char *content, size_t n, CommandCheck **ret)
{
        _cleanup_(command_check_freep) CommandCheck *c = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        r = bash_scan_new(content, n, on_word, c, &c->scan);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int command_check_read(CommandCheck *c, Metadata *m)
{
        int r = 0;

        if (!bash_scan_read(c->scan, SLICE_SIZE))
                return 0;
        for (size_t i = 0; i < c->n_calls && r >= 0; i++) {
                int k = c->calls[i].command;

                if (!c->own[k] && !works(m, commands[k].need))
                        r = warn(m, c->calls[i].line, commands[k].name, commands[k].need);
        }
        return r < 0 ? r : 1;
}
