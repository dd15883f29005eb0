/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/announcement.h"
#include "model/announcement.sql.h"
#include "shared/status-line.h"

bool announcement_is_valid(const char *text)
{
        return !isempty(text) && strlen(text) <= ANNOUNCEMENT_MAX && text_is_line(text);
}

int announcement_add(Backend *b, const char *text, unsigned lifetime, const char *actor, db_callback_t done,
                     void *userdata)
{
        char id[ID_MAX], seconds[16];

        id_new("ann", id);
        snprintf(seconds, sizeof(seconds), "%u", lifetime);
        return act_query(b, SQL(announcement_add, .id = id, .text = text, .lifetime = seconds, .actor = actor), NULL,
                         done, userdata);
}

int announcement_remove(Backend *b, const char *id, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(announcement_remove, .id = id, .actor = actor), NULL, done, userdata);
}
