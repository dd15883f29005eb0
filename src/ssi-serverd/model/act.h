/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An act on accounts and servers: one statement, then what the streams, the sessions and the other instances have to hear of it. REST and D-Bus
 * are two ways to ask for the same act. */

#include "core/backend.h"

/* What a committed act changed; res as the act documents it, with at least one row. */
typedef void (*act_publish_t)(Backend *b, PGresult *res);

/* As backend_query(): done is called once, after publish, unless an error is returned. publish may be NULL. */
int act_query(Backend *b, const char *sql, unsigned n_params, const char *const *params, act_publish_t publish,
              db_callback_t done, void *userdata);
