/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A change as texts for people, made from the payload in the outbox
 * (db/migrations/functions/30-notify-rules.sql). */

#include "shared/json-util.h"
#include "notify/template.h"

typedef struct NotifyMessage {
        char *id; /* of the outbox; "ntf-…" */
        json_object *payload;
        char *title;     /* one line */
        char *text;      /* some lines */
        char *url;       /* of the dashboard's page; "" without a public address */
        char *labels;    /* separated by commas */
        char *at;        /* the time of the change, as the account wants to read it */
        char number[24]; /* for notify_message_lookup() */
} NotifyMessage;

/* payload: JSON. public_url may be NULL. -EBADMSG if it is not a payload, -ENOMEM. */
int notify_message_new(const char *id, const char *payload, const char *public_url, NotifyMessage *ret);
void notify_message_done(NotifyMessage *m);

/* 0 (no problem) to 3, as for statuses. */
int notify_message_severity(const NotifyMessage *m);
/* "status", "error", "stale", "state", "hosts", "digest", "test", or one of an account's mails. */
const char *notify_message_kind(const NotifyMessage *m);
/* Whether it is a mail to an account about itself, some of which carry a link with a token (notifier-send.c). */
bool notify_is_account_mail(const char *kind);

/* A template_lookup_t; userdata is the message. Names: id, kind, title, text, message, server, server_id,
 * service, old, new, severity (a number), priority (3 to 5, as in ntfy), at, url, labels. */
const char *notify_message_lookup(const char *name, void *userdata);
