/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by notifier.c and notifier-send.c: the claimed messages. */

#include "notify/notifier.h"

#define NOTIFY_SLOTS_MAX 32 /* deliveries at once */

/* A message that this instance has claimed. */
typedef struct NotifySlot {
        Notifier *notifier;
        char *id, *public_id, *payload;
        char *type, *config;
        char *endpoint, *p256dh, *auth;
        char *email;       /* of an account's mail */
        char *user;        /* the account's key in the database */
        char *token;       /* of an account's mail, made for this delivery */
        char *by;          /* who invites, or the new address */
        unsigned attempts; /* including this one */
        bool unrecorded;   /* the result could not be recorded yet */
        DeliveryResult result;
        struct NotifySlot *prev, *next;
} NotifySlot;

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
        bool kicked; /* while evaluating */

        NotifySlot *slots;
        unsigned n_slots;
};

/* Sends the slot's message, records the result and frees the slot. */
void notify_slot_start(NotifySlot *s);
NotifySlot *notify_slot_free(NotifySlot *s);
/* Tries again to record results. */
void notify_slots_record(Notifier *n);
