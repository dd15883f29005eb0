/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "ingest/internal.h"
#include "shared/time-util.h"

#define BATCH_ITEMS_MAX 2000
#define BATCH_SHARE_MAX \
        128 /* from one source, so that a flood or a replay delays the others by only a few
                               * ms */
#define BATCH_SIZE_MAX    (4 * 1024 * 1024)
#define BATCH_RETRIES_MAX 10

/* With this many items waiting, a second batch is sent while the first is under way, so that the database
 * and we need not wait for each other. With fewer, waiting makes batches larger. */
#define BATCHES_MAX       2
#define BATCH_AHEAD_ITEMS 1000
#define RETRY_USEC        USEC_PER_SEC

static void ingest_dispatch(Ingest *i);
static void batch_done(PGresult *res, int error, void *userdata);

/* Moves the leading items of one kind from the source's queue to the batch. */
static void batch_take(Batch *b, IngestSource *s)
{
        BatchPart *p = &b->parts[b->n_parts++];

        *p = (BatchPart){ .source = s };
        s->n_ref++;
        while (s->items && batch_kind_of(s->items) == b->kind && p->n_items < BATCH_SHARE_MAX &&
               b->n_items < BATCH_ITEMS_MAX && b->size < BATCH_SIZE_MAX &&
               (!p->items || p->items->replay == s->items->replay)) {
                IngestItem *item = s->items;
                size_t size = ingest_item_size(item);

                DL_DELETE(s->items, item);
                DL_APPEND(p->items, item);
                s->n_items--;
                s->size -= size;
                s->n_in_flight++;
                b->size += size;
                p->n_items++;
                b->n_items++;
                if (item->text.cursor) {
                        p->cursor = item->text.cursor;
                        p->gap = item->kind == INGEST_GAP;
                }
                if (b->kind != BATCH_ITEMS)
                        break; /* a later one replaces it, but not in the same statement */
        }
}

static Batch *batch_free(Batch *b)
{
        if (!b)
                return NULL;
        batch_fold_done(b);
        for (size_t k = 0; k < b->n_parts; k++) {
                ingest_items_free(b->parts[k].items);
                ingest_source_unref(b->parts[k].source);
        }
        free(b->parts);
        free(b);
        return NULL;
}

static Batch *batch_new(Ingest *i)
{
        size_t n_sources = 0;
        IngestSource *s, *tmp;
        Batch *b;

        DL_COUNT(i->ready, s, n_sources);
        n_sources = MIN(n_sources, i->n_solo > 0 ? (size_t) 1 : (size_t) BATCH_ITEMS_MAX);
        b = calloc(1, sizeof(*b));
        if (!b)
                return NULL;
        b->ingest = i;
        b->parts = calloc(n_sources, sizeof(*b->parts));
        if (!b->parts) {
                free(b);
                return NULL;
        }
        /* The source that has waited longest decides the kind of this batch; others join with items of that
         * kind. */
        b->kind = batch_kind_of(i->ready->items);
        DL_FOREACH_SAFE(i->ready, s, tmp) {
                if (b->n_parts == n_sources || b->n_items >= BATCH_ITEMS_MAX || b->size >= BATCH_SIZE_MAX)
                        break;
                if (batch_kind_of(s->items) == b->kind)
                        batch_take(b, s);
        }
        for (size_t k = 0; k < b->n_parts; k++)
                ingest_source_dequeue(b->parts[k].source);
        if (i->n_solo > 0)
                i->n_solo--;
        return b;
}

/* Nothing of the batch was done: put it back at the heads of the queues. */
static void batch_put_back(Batch *b)
{
        for (size_t k = b->n_parts; k-- > 0;) {
                BatchPart *p = &b->parts[k];
                IngestSource *s = p->source;
                IngestItem *item;

                if (s->ended)
                        continue;
                DL_FOREACH(p->items, item) {
                        size_t size = ingest_item_size(item);

                        s->n_items++;
                        s->size += size;
                        b->n_items--;
                        b->size -= size;
                }
                s->n_in_flight = 0;
                DL_CONCAT(p->items, s->items);
                s->items = TAKE_PTR(p->items);
                ingest_source_dequeue(s);
                DL_PREPEND(s->ingest->ready, s);
                s->queued = true;
        }
}

/* Takes the batch's items out of the accounts, reports drained sources, and frees the batch. */
static void batch_finish(Ingest *i, Batch *b)
{
        i->n_items -= b->n_items;
        i->size -= b->size;
        for (size_t k = 0; k < b->n_parts; k++)
                b->parts[k].source->n_in_flight = 0;
        for (size_t k = 0; k < b->n_parts; k++) {
                IngestSource *s = b->parts[k].source;

                ingest_source_enqueue(s);
                if (s->handler && ingest_source_pending(s) == 0)
                        s->handler->drained(s, s->userdata);
        }
        batch_free(b);
        ingest_unthrottle(i);
}

static void count_batch(Ingest *i, const Batch *b)
{
        i->failing = false;
        i->stats.batches++;
        i->stats.items += b->n_items;
        histogram_add(&i->stats.commit, now_usec(CLOCK_MONOTONIC) - b->sent);
        /* The remaining items came after this batch had been formed. */
        i->waiting_since = b->sent;
        for (size_t k = 0; k < b->n_states; k++)
                i->stats.unchanged += !b->states[k].write;
}

static void batch_committed(Ingest *i, Batch *b, PGresult *res)
{
        _cleanup_(changes_clear) Changes changes = {};
        int r;

        batch_mark_accepted(b, res);
        count_batch(i, b);
        r = batch_changes(b, res, &changes);
        batch_learn(b);
        batch_learn_refused(b, res);
        for (size_t k = 0; k < b->n_parts; k++) {
                BatchPart *p = &b->parts[k];

                p->source->n_commits++;
                if (!p->accepted)
                        ingest_source_end(p->source, -ESTALE);
                else if (p->cursor && free_and_strdup(&p->source->cursor, p->cursor) < 0)
                        ingest_source_end(p->source, -ENOMEM);
                else if (p->cursor && p->source->handler && !p->source->ended)
                        p->source->handler->committed(p->source, p->cursor, p->source->userdata);
                if (p->withheld > 0 && p->source->handler && p->source->handler->withheld && !p->source->ended)
                        p->source->handler->withheld(p->source, p->withheld, p->source->userdata);
        }
        if (r >= 0 && changes.n > 0)
                i->handler->changed(&changes, i->userdata);
        i->handler->committed(i->userdata);
}

/* Returns 1 if the batch is under way, 0 if there is nothing to write. */
static int batch_start(Ingest *i, Batch *b)
{
        int r;

        r = batch_fold(b, &i->settings);
        if (r <= 0)
                return r;
        r = batch_send(b, i->db, &i->settings, batch_done, b);
        if (r < 0)
                return r;
        b->sent = now_usec(CLOCK_MONOTONIC);
        i->n_batches++;
        i->n_sent += b->n_items;
        return 1;
}

/* Leaves the database alone for a while. Waiting items keep their place, and reading stops when there are
 * too many. */
static void ingest_stall(Ingest *i)
{
        i->failing = true;
        i->stalled = sd_event_source_set_time_relative(i->retry_timer, RETRY_USEC) >= 0 &&
                     sd_event_source_set_enabled(i->retry_timer, SD_EVENT_ONESHOT) >= 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Ingest *i = userdata;

        i->stalled = false;
        ingest_dispatch(i);
        return 0;
}

/* Without an answer it is unknown whether the transaction was committed: the agent must ask for the cursor
 * again. With an answer, nothing was done. */
static void batch_failed(Ingest *i, Batch *b, PGresult *res, int error)
{
        if (error == -EINVAL && b->n_parts > 1) {
                /* One part is refused, but the database does not say which. */
                i->n_solo = (unsigned) b->n_parts;
                batch_put_back(b);
                return;
        }
        if (error != -ECANCELED) {
                i->stats.failed++;
                i->handler->failed(error, db_result_message(res), i->userdata);
        }
        if (res && error != -EINVAL && error != -ECONNRESET) {
                batch_put_back(b);
                ingest_stall(i);
                return;
        }
        i->stats.refused += error == -EINVAL;
        for (size_t k = 0; k < b->n_parts; k++)
                ingest_source_end(b->parts[k].source, error);
}

static void batch_done(PGresult *res, int error, void *userdata)
{
        Batch *b = userdata;
        Ingest *i = b->ingest;

        i->n_batches--;
        i->n_sent -= b->n_items;
        if (error == -EAGAIN && b->n_retries++ < BATCH_RETRIES_MAX && batch_start(i, b) > 0)
                return;
        if (error < 0)
                batch_failed(i, b, res, error);
        else
                batch_committed(i, b, res);
        batch_finish(i, b);
        ingest_dispatch(i);
}

static bool has_turn(const Ingest *i)
{
        return i->n_batches == 0 ||
               (i->n_batches < BATCHES_MAX && i->n_solo == 0 && i->n_items - i->n_sent >= BATCH_AHEAD_ITEMS);
}

static void ingest_dispatch(Ingest *i)
{
        while (has_turn(i) && i->ready && !i->stalled && db_is_ready(i->db)) {
                Batch *b = batch_new(i);
                int r = b ? batch_start(i, b) : -ENOMEM;

                if (r < 0) {
                        /* Out of memory, or the connection is just breaking: nothing was sent. The next item
                         * or kick tries again. */
                        if (b)
                                batch_put_back(b);
                }
                if (r <= 0 && b)
                        batch_finish(i, b);
                if (r < 0)
                        return;
        }
}

static int ingest_run(sd_event_source *s, void *userdata)
{
        ingest_dispatch(userdata);
        return 0;
}

void ingest_kick(Ingest *i)
{
        (void) sd_event_source_set_enabled(i->run_source, SD_EVENT_ONESHOT);
}

int ingest_new(sd_event *event, Db *db, const IngestSettings *settings, const IngestHandler *handler, void *userdata,
               Ingest **ret)
{
        _cleanup_(ingest_freep) Ingest *i = NULL;
        int r;

        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        *i = (Ingest){
                .db = db,
                .settings = *settings,
                .handler = handler,
                .userdata = userdata,
        };
        r = sd_event_add_defer(event, &i->run_source, ingest_run, i);
        if (r >= 0)
                r = sd_event_source_set_enabled(i->run_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &i->retry_timer, CLOCK_MONOTONIC, 0, 0, on_retry, i);
        if (r >= 0)
                r = sd_event_source_set_enabled(i->retry_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &i->owner_timer, CLOCK_MONOTONIC, 0, 1, ingest_owners_tick, i);
        if (r >= 0)
                r = sd_event_source_set_enabled(i->owner_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(i);
        return 0;
}

Ingest *ingest_free(Ingest *i)
{
        if (!i)
                return NULL;
        sd_event_source_disable_unref(i->run_source);
        sd_event_source_disable_unref(i->retry_timer);
        sd_event_source_disable_unref(i->owner_timer);
        ingest_owners_free(i);
        free(i);
        return NULL;
}

size_t ingest_pending(Ingest *i)
{
        return i->n_items;
}

uint64_t ingest_lag(Ingest *i)
{
        return i->n_items > 0 ? now_usec(CLOCK_MONOTONIC) - i->waiting_since : 0;
}

bool ingest_is_stalled(Ingest *i)
{
        return i->failing && i->n_items > 0;
}

const IngestStats *ingest_stats(Ingest *i)
{
        return &i->stats;
}
