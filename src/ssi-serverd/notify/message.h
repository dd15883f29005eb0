/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What people read of a change: the payload of the outbox (0004-notifications.sql) as texts. */

#include "shared/json-util.h"
#include "notify/template.h"

typedef struct NotifyMessage {
        char *id;              /* of the outbox; "ntf-…" */
        json_object *payload;
        char *title;           /* one line */
        char *text;            /* some lines */
        char *url;             /* of the dashboard's page; "" without a public address */
        char *labels;          /* with commas between */
        char number[24];       /* for notify_message_lookup() */
} NotifyMessage;

/* payload: JSON. public_url may be NULL. -EBADMSG when it is no payload, -ENOMEM. */
int notify_message_new(const char *id, const char *payload, const char *public_url, NotifyMessage *ret);
void notify_message_done(NotifyMessage *m);

/* 0 (nothing wrong) to 3, as the statuses. */
int notify_message_severity(const NotifyMessage *m);
/* "status", "error", "stale", "state", "digest", "test", "verify", "reset". */
const char *notify_message_kind(const NotifyMessage *m);

/* A template_lookup_t; userdata is the message. id, kind, title, text, message, server, server_id, service, old, new,
 * severity (a number), priority (3 to 5, as ntfy has it), at, url, labels. */
const char *notify_message_lookup(const char *name, void *userdata);
