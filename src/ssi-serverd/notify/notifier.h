/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells people. Evaluates what the database's transitions mean to each channel (0004-notifications.sql), claims messages
 * of the outbox, sends them and writes down what became of it. Any number of instances share the work. */

#include "config/config.h"
#include "notify/delivery.h"
#include "db/db.h"
#include "notify/channel.h"

typedef struct Notifier Notifier;

/* Loads the push key: the credential vapid.key, else config->push_key, else one of its own, made when it is not there. Logs its errors. */
int notifier_new(sd_event *event, const Config *config, Notifier **ret);
/* The deliveries under way are dropped: they come again when their leases end. */
Notifier *notifier_free(Notifier *n);
DEFINE_CLEANUP(Notifier *, notifier_free);

/* Opens a connection of its own and begins. */
int notifier_start(Notifier *n, const char *conninfo);
/* As db_suspend() and db_resume(), of its connection. */
void notifier_suspend(Notifier *n);
void notifier_resume(Notifier *n);
/* Claims nothing more. */
void notifier_stop(Notifier *n);
/* Nothing is under way. */
bool notifier_is_idle(Notifier *n);

/* Something was committed that may have to be told. Cheap. */
void notifier_kick(Notifier *n);

const DeliveryConfig *notifier_config(Notifier *n);
const char *notifier_push_key(Notifier *n); /* the public half; NULL when there is none */

/* Where one message goes. All borrowed. */
typedef struct NotifyTarget {
        const char *type;                      /* of the channel; "email" for an account's mails */
        const char *config;                    /* JSON */
        const char *endpoint, *p256dh, *auth;  /* of a push subscription, else NULL */
} NotifyTarget;

/* Sends now, without the outbox. As delivery_http() and delivery_mail(); -EINVAL when the target's config does not do. */
int notifier_send(Notifier *n, const NotifyTarget *target, NotifyMessage *m, delivery_done_t done, void *userdata);
