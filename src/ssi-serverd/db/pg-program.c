/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <signal.h>
#include <spawn.h>

#include "db/pg-program.h"

#define ARGS_MAX 32U

typedef struct Environment {
        char **vars;
        size_t n;
} Environment;

static void environment_done(Environment *e)
{
        for (size_t i = 0; i < e->n; i++)
                free(e->vars[i]);
        free(e->vars);
}

/* Replaces a variable of the same name. The list always ends with NULL. */
static int environment_put(Environment *e, const char *name, const char *value)
{
        size_t n = strlen(name);
        char *s, **grown;

        if (asprintf(&s, "%s=%s", name, value) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < e->n; i++)
                if (strncmp(e->vars[i], s, n + 1) == 0) {
                        free(e->vars[i]);
                        e->vars[i] = s;
                        return 0;
                }
        grown = reallocarray(e->vars, e->n + 2, sizeof(*grown));
        if (!grown) {
                free(s);
                return -ENOMEM;
        }
        e->vars = grown;
        e->vars[e->n++] = s;
        e->vars[e->n] = NULL;
        return 0;
}

/* Inherits what libpq would take from our own environment. */
static int environment_inherit(Environment *e)
{
        for (char **v = environ; *v; v++) {
                _cleanup_free_ char *name = NULL;
                int r;

                if (!startswith(*v, "PG") && !startswith(*v, "HOME="))
                        continue;
                name = strndup(*v, strcspn(*v, "="));
                r = name ? environment_put(e, name, *v + MIN(strlen(name) + 1, strlen(*v))) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int environment_connect(Environment *e, const char *conninfo)
{
        PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
        int r = 0;

        if (!options)
                return -EINVAL;
        for (PQconninfoOption *o = options; o->keyword && r >= 0; o++)
                if (o->val && o->envvar)
                        r = environment_put(e, o->envvar, o->val);
        PQconninfoFree(options);
        return r;
}

static int make_environment(const char *conninfo, Environment *e)
{
        int r;

        r = environment_inherit(e);
        if (r >= 0 && conninfo)
                r = environment_connect(e, conninfo);
        if (r >= 0)
                r = environment_put(e, "PGAPPNAME", "ssi-serverd-backup");
        /* Untranslated messages, which we can parse. */
        if (r >= 0)
                r = environment_put(e, "LC_ALL", "C.UTF-8");
        return r >= 0 ? environment_put(e, "PATH", "/usr/bin:/bin") : r;
}

/* Debian installs several versions side by side; the ones in PATH are wrappers. */
static int find_program(const char *name, char **ret)
{
        _cleanup_free_ char *pattern = NULL, *best = NULL;
        glob_t g;

        if (!isempty(SSI_PG_BIN_DIR)) {
                if (asprintf(&best, "%s/%s", SSI_PG_BIN_DIR, name) < 0) {
                        best = NULL;
                        return -ENOMEM;
                }
        } else {
                if (asprintf(&pattern, "/usr/lib/postgresql/*/bin/%s", name) < 0) {
                        pattern = NULL;
                        return -ENOMEM;
                }
                if (glob(pattern, 0, NULL, &g) == 0) {
                        const char *newest = g.gl_pathv[0];

                        for (size_t i = 1; i < g.gl_pathc; i++)
                                if (strverscmp(g.gl_pathv[i], newest) > 0)
                                        newest = g.gl_pathv[i];
                        best = strdup(newest);
                        globfree(&g);
                } else if (asprintf(&best, "/usr/bin/%s", name) < 0)
                        best = NULL;
                if (!best)
                        return -ENOMEM;
        }
        if (access(best, X_OK) < 0)
                return -ENOENT;
        *ret = TAKE_PTR(best);
        return 0;
}

/* The child inherits no other descriptors. */
static int set_descriptors(posix_spawn_file_actions_t *actions, const int fds[static 3])
{
        int r = 0;

        for (int i = 0; i < 3 && r == 0; i++)
                r = fds[i] < 0 ? posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDWR, 0) :
                                 posix_spawn_file_actions_adddup2(actions, fds[i], i);
        if (r == 0)
                r = posix_spawn_file_actions_addclosefrom_np(actions, 3);
        return -r;
}

static int set_signals(posix_spawnattr_t *attributes)
{
        sigset_t none, broken_pipe;
        int r;

        sigemptyset(&none);
        sigemptyset(&broken_pipe);
        sigaddset(&broken_pipe, SIGPIPE);
        r = posix_spawnattr_setsigmask(attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(attributes, &broken_pipe);
        if (r == 0)
                r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        return -r;
}

static int spawn(const char *path, char *const *argv, char *const *envp, const int fds[static 3], pid_t *ret)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r;

        r = -posix_spawn_file_actions_init(&actions);
        if (r < 0)
                return r;
        r = -posix_spawnattr_init(&attributes);
        if (r >= 0) {
                r = set_descriptors(&actions, fds);
                if (r >= 0)
                        r = set_signals(&attributes);
                if (r >= 0)
                        r = -posix_spawn(ret, path, &actions, &attributes, argv, envp);
                posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

int pg_program_start(const char *name, const char *const *args, const char *conninfo, int in, int out, int err,
                     pid_t *ret)
{
        _cleanup_(environment_done) Environment e = {};
        const int fds[] = { in, out, err };
        _cleanup_free_ char *path = NULL;
        const char *argv[ARGS_MAX + 2] = {};
        size_t n = 1;
        int r;

        r = find_program(name, &path);
        if (r < 0)
                return r;
        r = make_environment(conninfo, &e);
        if (r < 0)
                return r;
        argv[0] = path;
        for (; args[n - 1]; n++) {
                if (n > ARGS_MAX)
                        return -E2BIG;
                argv[n] = args[n - 1];
        }
        return spawn(path, (char *const *) argv, e.vars, fds, ret);
}
