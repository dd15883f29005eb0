/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "ingest/internal.h"
#include "shared/time-util.h"

/* Limits at which reading stops. A single message may exceed them. */
#define QUEUE_ITEMS_MAX  20000
#define QUEUE_SIZE_MAX   (64 * 1024 * 1024)
#define SOURCE_ITEMS_MAX 2000
#define SOURCE_SIZE_MAX  (4 * 1024 * 1024)

void ingest_source_unref(IngestSource *s)
{
        if (--s->n_ref > 0)
                return;
        DL_DELETE2(s->ingest->all, s, all_prev, all_next);
        if (s->throttled)
                s->ingest->n_throttled--;
        known_clear(&s->known);
        free(s->server);
        free(s->user);
        free(s->cursor);
        free(s);
}

void ingest_source_enqueue(IngestSource *s)
{
        if (s->queued || !s->items || s->n_in_flight > 0)
                return;
        DL_APPEND(s->ingest->ready, s);
        s->queued = true;
}

void ingest_source_dequeue(IngestSource *s)
{
        if (!s->queued)
                return;
        DL_DELETE(s->ingest->ready, s);
        s->queued = false;
}

static void source_drop_queue(IngestSource *s)
{
        ingest_source_dequeue(s);
        ingest_items_free(TAKE_PTR(s->items));
        s->ingest->n_items -= s->n_items;
        s->ingest->size -= s->size;
        s->n_items = s->size = 0;
}

void ingest_source_end(IngestSource *s, int error)
{
        if (s->ended)
                return;
        s->ended = true;
        source_drop_queue(s);
        if (s->handler)
                s->handler->ended(s, error, s->userdata);
}

static bool queue_is_full(const IngestSource *s, unsigned share)
{
        const Ingest *i = s->ingest;

        return i->n_items >= QUEUE_ITEMS_MAX / share || i->size >= QUEUE_SIZE_MAX / share ||
               s->n_items >= SOURCE_ITEMS_MAX / share || s->size >= SOURCE_SIZE_MAX / share;
}

bool ingest_source_is_paused(const IngestSource *s)
{
        return s->throttled || s->limited;
}

void ingest_source_pause(IngestSource *s, bool throttled, bool limited)
{
        bool before = ingest_source_is_paused(s), after = throttled || limited;

        s->throttled = throttled;
        s->limited = limited;
        if (before != after && s->handler && !s->ended)
                s->handler->throttled(s, after, s->userdata);
}

void ingest_unthrottle(Ingest *i)
{
        IngestSource *s, *tmp;

        if (i->n_throttled == 0)
                return;
        DL_FOREACH_SAFE2(i->all, s, tmp, all_next)
        {
                if (!s->throttled || queue_is_full(s, 2))
                        continue;
                i->n_throttled--;
                ingest_source_pause(s, false, s->limited);
        }
}

int ingest_source_new(Ingest *i, int64_t id, int64_t epoch, const char *server, const char *user, const char *cursor,
                      const IngestSourceHandler *handler, void *userdata, IngestSource **ret)
{
        IngestSource *s;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (IngestSource){
                .ingest = i,
                .n_ref = 1,
                .id = id,
                .epoch = epoch,
                .server = strdup(server),
                .user = strdup(user),
                .cursor = cursor ? strdup(cursor) : NULL,
                .handler = handler,
                .userdata = userdata,
        };
        DL_APPEND2(i->all, s, all_prev, all_next);
        if (!s->server || !s->user || (cursor && !s->cursor)) {
                ingest_source_unref(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

IngestSource *ingest_source_free(IngestSource *s)
{
        if (!s)
                return NULL;
        s->handler = NULL;
        s->ended = true;
        ingest_owner_leave(s);
        source_drop_queue(s);
        ingest_source_unref(s);
        return NULL;
}

/* Marks the items of a replay. Markers that change nothing are dropped. */
static void mark_replay(IngestSource *s, IngestItem **items)
{
        IngestItem *item, *tmp;

        DL_FOREACH_SAFE(*items, item, tmp) {
                bool live = item->kind == INGEST_LIVE && s->replaying;

                if (item->kind == INGEST_RESUME)
                        s->replaying = true;
                else if (item->kind == INGEST_LIVE)
                        s->replaying = false;
                else
                        item->replay = s->replaying;
                if (item->kind == INGEST_RESUME || (item->kind == INGEST_LIVE && !live)) {
                        DL_DELETE(*items, item);
                        ingest_item_free(item);
                }
        }
}

void ingest_source_push(IngestSource *s, IngestItem *items_taken)
{
        Ingest *i = s->ingest;
        IngestItem *item;

        if (s->ended) {
                ingest_items_free(items_taken);
                return;
        }
        ingest_owner_charge(s, items_taken);
        mark_replay(s, &items_taken);
        if (i->n_items == 0)
                i->waiting_since = now_usec(CLOCK_MONOTONIC);
        DL_FOREACH(items_taken, item) {
                size_t size = ingest_item_size(item);

                s->n_items++;
                s->size += size;
                i->n_items++;
                i->size += size;
        }
        DL_CONCAT(s->items, items_taken);
        ingest_source_enqueue(s);
        ingest_kick(i);
        if (!s->throttled && queue_is_full(s, 1)) {
                i->n_throttled++;
                ingest_source_pause(s, true, s->limited);
        }
}

size_t ingest_source_pending(IngestSource *s)
{
        return s->n_items + s->n_in_flight;
}

const char *ingest_source_cursor(const IngestSource *s)
{
        return s->cursor;
}

uint64_t ingest_source_commits(const IngestSource *s)
{
        return s->n_commits;
}

void ingest_source_fence(IngestSource *s)
{
        s->ended = true;
        source_drop_queue(s);
}
