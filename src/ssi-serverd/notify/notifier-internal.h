/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by notifier.c, notifier-send.c and notifier-sent.c: the claimed messages, and those that were sent. */

#include "notify/notifier.h"

#define NOTIFY_SLOTS_MAX 32 /* deliveries at once */

/* A message that this instance has claimed. */
typedef struct NotifySlot {
        Notifier *notifier;
        char *id, *public_id, *payload;
        char *type, *config;
        char *endpoint, *p256dh, *auth;
        char *email;                          /* of an account's mail */
        char *user;                           /* the account's key in the database */
        char *created;                        /* when, as the database writes it */
        char *queue, *channel, *subscription; /* keys in the database; the last two or NULL */
        char *token;                          /* of an account's mail, made for this delivery */
        char *by;                             /* who invites, or the new address */
        unsigned attempts;                    /* including this one */
        bool unrecorded;                      /* the result could not be recorded yet */
        DeliveryResult result;
        struct NotifySlot *prev, *next;
} NotifySlot;

/* One that was sent, all of which another database needs to know of it. */
typedef struct NotifySent {
        char *public_id, *created, *queue, *user, *channel, *subscription, *payload;
        uint64_t at; /* CLOCK_MONOTONIC, usec */
        struct NotifySent *prev, *next;
} NotifySent;

struct Notifier {
        sd_event *event;
        Db *db;
        CurlLoop *curl;
        DeliveryConfig config;
        VapidKey key;
        bool have_key;
        bool full_history;

        sd_event_source *wake; /* the next evaluation */
        uint64_t wake_at;      /* CLOCK_MONOTONIC, usec; USEC_INFINITY: none planned */
        uint64_t evaluated_at;
        sd_event_source *tidy;  /* every minute */
        sd_event_source *again; /* retries results that could not be recorded */
        bool evaluating, claiming, stopped;
        bool was_connected;
        uint64_t quiet_until; /* CLOCK_MONOTONIC, usec: the other instances may not have put back theirs */
        bool kicked;          /* while evaluating */

        NotifySlot *slots;
        unsigned n_slots;
        NotifySent *sent; /* the latest last */
        unsigned n_sent;
};

/* Sends the slot's message, records the result and frees the slot. */
void notify_slot_start(NotifySlot *s);
NotifySlot *notify_slot_free(NotifySlot *s);
/* Tries again to record results. */
void notify_slots_record(Notifier *n);

/* notifier-sent.c: what was sent outlives a database that forgets it (docs/adr/0063). */
void notify_sent_remember(const NotifySlot *s);
/* Tells the database. */
void notify_sent_put_back(Notifier *n);
void notify_sent_free(Notifier *n);
