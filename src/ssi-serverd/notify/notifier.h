/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Notifies people. Turns the database's transitions into messages for each channel
 * (db/migrations/functions), claims messages from the outbox, sends them and records the results. Any number
 * of instances share the work. */

#include "config/config.h"
#include "notify/delivery.h"
#include "db/db.h"
#include "notify/channel.h"

typedef struct Notifier Notifier;

/* Loads the push key: the credential vapid.key, else config->push_key, else its own, which is made if it is
 * missing. Logs its errors. */
int notifier_new(sd_event *event, const Config *config, Notifier **ret);
/* Drops deliveries under way: they are due again when their leases end. */
Notifier *notifier_free(Notifier *n);
DEFINE_CLEANUP(Notifier *, notifier_free);

/* Opens a separate connection and starts. */
int notifier_start(Notifier *n, DbHosts *hosts);
/* As db_suspend() and db_resume(), for its connection. */
void notifier_suspend(Notifier *n);
void notifier_resume(Notifier *n);
/* Stops claiming messages. */
void notifier_stop(Notifier *n);
/* Whether nothing is under way. */
bool notifier_is_idle(Notifier *n);

/* Something was committed that may need a notification. Cheap. */
void notifier_kick(Notifier *n);

const DeliveryConfig *notifier_config(Notifier *n);
/* Whether accounts get mails about themselves; their links need the public address. */
bool notifier_has_account_mail(Notifier *n);
/* The private half as PEM text, for a host that joins (docs/adr/0054). NULL if there is none. */
const char *notifier_push_key_private(Notifier *n);
const char *notifier_push_key(Notifier *n); /* the public half; NULL if there is none */

/* The destination of one message. All borrowed. */
typedef struct NotifyTarget {
        const char *type;                     /* of the channel; "email" for an account's mails */
        const char *config;                   /* JSON */
        const char *endpoint, *p256dh, *auth; /* of a push subscription, otherwise NULL */
} NotifyTarget;

/* Sends at once, without the outbox. As delivery_http() and delivery_mail(); -EINVAL if the target's config
 * is invalid. */
int notifier_send(Notifier *n, const NotifyTarget *target, NotifyMessage *m, delivery_done_t done, void *userdata);
