/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "ingest/known.h"

#define REFUSED_MAX 4096 /* as many services as a server may have */

static void known_service_free(KnownService *s)
{
        free(s->message);
        free(s->error_kind);
        free(s->error_detail);
        free(s);
}

void known_remove(Known *k, KnownService *s)
{
        HASH_DEL(k->services, s);
        known_service_free(s);
}

void known_clear(Known *k)
{
        KnownRefused *refused, *next;
        KnownService *s, *tmp;

        HASH_ITER(hh, k->services, s, tmp)
                known_remove(k, s);
        k->inventory = false;
        HASH_ITER(hh, k->refused, refused, next) {
                HASH_DEL(k->refused, refused);
                free(refused);
        }
}

bool known_refuse(Known *k, const char *name, uint64_t until)
{
        KnownService *s = known_find(k, name);
        KnownRefused *refused;

        if (s)
                known_remove(k, s);
        HASH_FIND_STR(k->refused, name, refused);
        if (!refused) {
                refused = HASH_COUNT(k->refused) < REFUSED_MAX ? calloc(1, sizeof(*refused)) : NULL;
                if (!refused)
                        return false;
                strncpy(refused->name, name, sizeof(refused->name) - 1);
                HASH_ADD_STR(k->refused, name, refused);
        }
        refused->until = until;
        return true;
}

bool known_is_refused(const Known *k, const char *name, uint64_t now)
{
        KnownRefused *refused;

        if (!k->refused)
                return false;
        HASH_FIND_STR(k->refused, name, refused);
        return refused && now < refused->until;
}

KnownService *known_find(const Known *k, const char *name)
{
        KnownService *s;

        HASH_FIND_STR(k->services, name, s);
        return s;
}

KnownService *known_get(Known *k, const char *name)
{
        KnownService *s = known_find(k, name);

        if (s)
                return s;
        s = calloc(1, sizeof(*s));
        if (!s)
                return NULL;
        strncpy(s->name, name, sizeof(s->name) - 1);
        s->status = _STATUS_INVALID;
        HASH_ADD_STR(k->services, name, s);
        return s;
}

bool known_is_same(const KnownService *s, const IngestItem *item)
{
        if (!s || !s->has_state)
                return false;
        if (item->kind == INGEST_ERROR)
                return streq_ptr(s->error_kind, item->text.error_kind) &&
                       streq_ptr(s->error_detail, item->text.error_detail);
        return s->status == item->status && !s->error_kind && streq_ptr(s->message, item->text.message);
}

static void update(crypto_generichash_state *h, const char *s)
{
        /* Including the terminator, so that field boundaries count. */
        crypto_generichash_update(h, (const unsigned char *) strempty(s), strlen(strempty(s)) + 1);
        crypto_generichash_update(h, (const unsigned char *) (s ? "1" : "0"), 1);
}

void inventory_digest(const InventoryService *s, unsigned char digest[static INVENTORY_DIGEST_SIZE])
{
        const unsigned char enabled = s->enabled;
        crypto_generichash_state h;

        crypto_generichash_init(&h, NULL, 0, INVENTORY_DIGEST_SIZE);
        update(&h, s->title);
        update(&h, s->metadata);
        update(&h, s->schedule);
        update(&h, s->watches);
        update(&h, s->depends_on);
        crypto_generichash_update(&h, (const unsigned char *) &s->timeout_ms, sizeof(s->timeout_ms));
        crypto_generichash_update(&h, &enabled, 1);
        crypto_generichash_final(&h, digest, INVENTORY_DIGEST_SIZE);
}
