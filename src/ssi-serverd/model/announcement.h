/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What administrators tell all users, shown on the dashboard until it ends. Callbacks as for backend_query(); actor: of
 * audit_actor_text(). */

#include "model/act.h"

#define ANNOUNCEMENT_MAX          500      /* bytes, on one line */
#define ANNOUNCEMENTS_MAX         10       /* at once */
#define ANNOUNCEMENT_LIFETIME     86400    /* s, unless something else is asked for */
#define ANNOUNCEMENT_LIFETIME_MAX 31536000 /* s */

bool announcement_is_valid(const char *text);

/* One row: public id, end (RFC 3339), end (usec); none when there are ANNOUNCEMENTS_MAX. lifetime: s. */
int announcement_add(Backend *b, const char *text, unsigned lifetime, const char *actor, db_callback_t done,
                     void *userdata);
/* One row, or none when it has ended or does not exist. */
int announcement_remove(Backend *b, const char *id, const char *actor, db_callback_t done, void *userdata);
