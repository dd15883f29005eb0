/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "ingest/internal.h"
#include "shared/time-util.h"

#define REFUSED_USEC (5 * 60 * USEC_PER_SEC)

/* ---- Results and execution errors ---- */

void batch_fold_done(Batch *b)
{
        HASH_CLEAR(hh, b->by_key);
        free(TAKE_PTR(b->states));
        b->n_states = 0;
}

static ServiceState *service_state_get(Batch *b, size_t part, const char *name)
{
        ServiceKey key;
        ServiceState *s;

        memset(&key, 0, sizeof(key)); /* padding is part of the hash */
        key.part = part;
        strncpy(key.name, name, sizeof(key.name) - 1);
        HASH_FIND(hh, b->by_key, &key, sizeof(key), s);
        if (s)
                return s;
        s = &b->states[b->n_states++];
        memcpy(&s->key, &key, sizeof(key));
        s->known = known_find(&b->parts[part].source->known, name);
        HASH_ADD(hh, b->by_key, key, sizeof(key), s);
        return s;
}

/* Whether the item repeats its predecessor. */
static bool is_same(const ServiceState *s, const IngestItem *item)
{
        const IngestItem *last = s->last;

        if (!last)
                return known_is_same(s->known, item);
        if (last->kind != item->kind)
                return false;
        if (item->kind == INGEST_ERROR)
                return streq_ptr(last->text.error_kind, item->text.error_kind) &&
                       streq_ptr(last->text.error_detail, item->text.error_detail);
        return last->status == item->status && streq_ptr(last->text.message, item->text.message);
}

static void fold_item(ServiceState *s, IngestItem *item, bool changes_only)
{
        bool same = is_same(s, item);

        item->keep = !changes_only || !same;
        s->changed |= !same;
        s->last = item;
        if (item->kind != INGEST_RESULT)
                return;
        if (!s->result || s->result->status != item->status) {
                s->flipped = s->result != NULL;
                s->changed_at = item->timestamp;
        }
        s->result = item;
}

/* What is told of a service that the database refused is dropped until it may be tried again. */
static bool is_refused(ServiceState *s, const IngestSource *source, uint64_t now)
{
        s->refused = s->refused || (!s->known && known_is_refused(&source->known, s->key.name, now));
        return s->refused;
}

static int fold_results(Batch *b, const IngestSettings *settings)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        b->states = calloc(b->n_items, sizeof(*b->states));
        if (!b->states)
                return -ENOMEM;
        for (size_t k = 0; k < b->n_parts; k++) {
                IngestItem *item;

                DL_FOREACH(b->parts[k].items, item) {
                        ServiceState *s;

                        item->keep = true;
                        if (item->kind == INGEST_GAP)
                                continue;
                        s = service_state_get(b, k, item->text.service);
                        item->keep = !is_refused(s, b->parts[k].source, now);
                        if (item->keep)
                                fold_item(s, item, settings->history_changes_only);
                }
        }
        for (size_t k = 0; k < b->n_states; k++) {
                ServiceState *s = &b->states[k];

                s->write = !s->refused && (s->changed || s->known->written + settings->refresh_usec <= now);
        }
        return 1;
}

static int learn_state(const ServiceState *s, KnownService *k)
{
        if (s->result) {
                k->status = s->result->status;
                if (free_and_strdup(&k->message, s->result->text.message) < 0)
                        return -ENOMEM;
        }
        if (free_and_strdup(&k->error_kind, s->last->text.error_kind) < 0 ||
            free_and_strdup(&k->error_detail, s->last->text.error_detail) < 0)
                return -ENOMEM;
        return 0;
}

static void learn_results(Batch *b)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC), heard = now_usec(CLOCK_REALTIME);

        for (size_t i = 0; i < b->n_states; i++) {
                const ServiceState *s = &b->states[i];
                BatchPart *p = &b->parts[s->key.part];
                KnownService *k;

                if (!p->accepted || p->source->ended || s->refused)
                        continue;
                k = known_get(&p->source->known, s->key.name);
                if (!k)
                        continue;
                k->heard = heard;
                if (!s->write)
                        continue;
                k->written = now;
                k->has_state = learn_state(s, k) >= 0;
                k->untold |= s->last->replay;
        }
}

/* ---- Inventories ---- */

static int compare_name(const void *key, const void *service)
{
        return strcmp(key, ((const InventoryService *) service)->name);
}

static bool names(const IngestItem *inventory, const char *name)
{
        return inventory->n_services > 0 &&
               bsearch(name, inventory->services, inventory->n_services, sizeof(*inventory->services), compare_name);
}

static bool next_run_is_due(const KnownService *k, const InventoryService *s, const IngestSettings *settings)
{
        if (s->next_run == k->next_run)
                return false;
        return s->next_run == USEC_INFINITY || k->next_run == USEC_INFINITY ||
               k->next_run_written + settings->refresh_usec <= now_usec(CLOCK_MONOTONIC) ||
               s->next_run > now_usec(CLOCK_REALTIME) + settings->refresh_usec;
}

static bool fold_inventory(IngestItem *item, const Known *known, const IngestSettings *settings)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        bool any;

        item->whole = !known->inventory;
        for (KnownService *k = known->services; k && !item->whole; k = k->hh.next)
                item->whole = !names(item, k->name);
        any = item->whole;
        for (size_t i = 0; i < item->n_services; i++) {
                InventoryService *s = &item->services[i];
                unsigned char digest[INVENTORY_DIGEST_SIZE];
                KnownService *k = known_find(known, s->name);

                s->write = !known_is_refused(known, s->name, now);
                if (s->write && !item->whole && k && k->listed) {
                        inventory_digest(s, digest);
                        s->write = memcmp(digest, k->digest, sizeof(digest)) != 0 || next_run_is_due(k, s, settings);
                }
                any |= s->write;
        }
        return any;
}

/* withheld: what it does not name is still there, so the next one is whole, too. */
static void learn_inventory(IngestItem *item, Known *known, bool withheld)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        KnownService *k, *tmp;

        if (item->whole && !withheld)
                HASH_ITER(hh, known->services, k, tmp)
                        if (!names(item, k->name))
                                known_remove(known, k);
        known->inventory = !withheld;
        for (size_t i = 0; i < item->n_services; i++) {
                InventoryService *s = &item->services[i];

                if (!s->write)
                        continue;
                k = known_get(known, s->name);
                if (!k) {
                        /* Out of memory. Treat the inventory as unknown, or a removal would go unnoticed. */
                        known->inventory = false;
                        continue;
                }
                k->listed = true;
                k->next_run = s->next_run;
                k->next_run_written = now;
                inventory_digest(s, k->digest);
        }
}

/* ---- All ---- */

/* Also those that the database refused in the same batch are told once. */
void batch_learn_refused(Batch *b, PGresult *res)
{
        uint64_t until = now_usec(CLOCK_MONOTONIC) + REFUSED_USEC;

        for (int row = 0; row < PQntuples(res); row++) {
                BatchPart *p = batch_part(b, res, row);
                const char *name = PQgetvalue(res, row, 2);
                IngestSource *s;

                if (b->kind == BATCH_LIVE || !p || *PQgetvalue(res, row, 1) != 'q' || p->source->ended)
                        continue;
                s = p->source;
                if (!known_refuse(&s->known, name, until))
                        ingest_source_end(s, -EINVAL);
                else if (s->handler && s->handler->refused)
                        s->handler->refused(s, name, s->userdata);
        }
}

BatchKind batch_kind_of(const IngestItem *item)
{
        return item->kind == INGEST_INVENTORY ? BATCH_INVENTORY : item->kind == INGEST_LIVE ? BATCH_LIVE : BATCH_ITEMS;
}

int batch_fold(Batch *b, const IngestSettings *settings)
{
        bool any = false;

        batch_fold_done(b);
        if (b->kind == BATCH_ITEMS)
                return fold_results(b, settings);
        if (b->kind == BATCH_LIVE)
                return 1;
        for (size_t k = 0; k < b->n_parts; k++)
                any |= fold_inventory(b->parts[k].items, &b->parts[k].source->known, settings);
        return any;
}

void batch_learn(Batch *b)
{
        if (b->kind == BATCH_ITEMS)
                learn_results(b);
        for (size_t k = 0; k < b->n_parts; k++) {
                BatchPart *p = &b->parts[k];

                if (!p->accepted || p->source->ended)
                        continue;
                if (b->kind == BATCH_INVENTORY)
                        learn_inventory(p->items, &p->source->known, p->withheld > 0);
                else if (b->kind == BATCH_LIVE)
                        for (KnownService *s = p->source->known.services; s; s = s->hh.next)
                                s->untold = false;
        }
}
