/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run-wait.h"

static int start_only(Ctl *c, const char *name, const char *path)
{
        int r;

        r = run_start(c, path, NULL);
        if (r < 0 || !c->json)
                return r;
        return ctl_print_done(c, "started", name, "");
}

static int run_one(Ctl *c, const char *name, const char *path)
{
        int r = run_wait(c, name, path, NULL);

        return r < 0 ? r : run_print_result(c, path);
}

static void free_paths(char ***paths)
{
        for (char **p = *paths; p && *p; p++)
                free(*p);
        free(*paths);
}

int verb_run(Ctl *c, int argc, char *argv[])
{
        _cleanup_(free_paths) char **paths = calloc((size_t) argc + 1, sizeof(*paths));
        int r, result = 0;

        if (!paths)
                return -CTL_EXIT_FAILURE;
        /* A mistyped name must fail before anything runs. */
        for (int i = 0; i < argc; i++) {
                r = ctl_get_service(c, argv[i], &paths[i]);
                if (r < 0)
                        return r;
        }
        for (int i = 0; i < argc; i++) {
                r = c->no_wait ? start_only(c, argv[i], paths[i]) : run_one(c, argv[i], paths[i]);
                /* Someone who reads the output from a pipe sees each result as it comes. */
                fflush(stdout);
                if (r < 0)
                        return r;
                result = MAX(result, r);
        }
        return result;
}
