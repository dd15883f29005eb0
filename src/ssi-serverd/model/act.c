/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/act.h"

typedef struct Act {
        Backend *backend;
        act_publish_t publish;
        db_callback_t done;
        void *userdata;
} Act;

static void on_done(PGresult *res, int error, void *userdata)
{
        Act *a = userdata;

        if (error == 0 && PQntuples(res) > 0 && a->publish)
                a->publish(a->backend, res);
        a->done(res, error, a->userdata);
        free(a);
}

int act_query(Backend *b, const char *sql, unsigned n_params, const char *const *params, act_publish_t publish,
              db_callback_t done, void *userdata)
{
        Act *a = malloc(sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (Act){ b, publish, done, userdata };
        r = backend_query(b, sql, n_params, params, on_done, a);
        if (r < 0)
                free(a);
        return r;
}
