/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An operation on accounts and servers: one statement, then the announcement to streams, sessions and other
 * instances. REST and D-Bus are two ways to request the same operation. */

#include "core/backend.h"

/* Publishes what a committed operation changed; res as the operation documents it, with at least one row. */
typedef void (*act_publish_t)(Backend *b, PGresult *res);

/* As backend_query(): done is called once, after publish, unless an error is returned. publish may be NULL. */
int act_query(Backend *b, const char *sql, unsigned n_params, const char *const *params, act_publish_t publish,
              db_callback_t done, void *userdata);
