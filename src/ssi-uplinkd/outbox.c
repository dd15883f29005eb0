/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "outbox.h"

#define BATCH_HEAD "{\"type\":\"status_batch\",\"payload\":{\"items\":["
#define BATCH_TAIL "]}}"

typedef struct Entry {
        char *json;
        char *cursor; /* NULL for a whole message */
        size_t length;
        struct Entry *prev, *next;
} Entry;

typedef struct Frame {
        char *cursor; /* of its last item */
        size_t items;
        struct Frame *prev, *next;
} Frame;

struct Outbox {
        Entry *entries;
        Frame *frames;
        size_t waiting, in_flight, n_frames;
};

int outbox_new(Outbox **ret)
{
        Outbox *o;

        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        *ret = o;
        return 0;
}

static void entry_free(Outbox *o, Entry *e)
{
        DL_DELETE(o->entries, e);
        if (e->cursor)
                o->waiting--;
        free(e->json);
        free(e->cursor);
        free(e);
}

static void frame_free(Outbox *o, Frame *f)
{
        DL_DELETE(o->frames, f);
        o->in_flight -= f->items;
        o->n_frames--;
        free(f->cursor);
        free(f);
}

static int push(Outbox *o, const char *json, const char *cursor)
{
        Entry *e;

        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        e->json = strdup(json);
        e->cursor = cursor ? strdup(cursor) : NULL;
        if (!e->json || (cursor && !e->cursor)) {
                free(e->json);
                free(e->cursor);
                free(e);
                return -ENOMEM;
        }
        e->length = strlen(json);
        DL_APPEND(o->entries, e);
        if (cursor)
                o->waiting++;
        return 0;
}

int outbox_push_item(Outbox *o, const char *json, const char *cursor)
{
        return push(o, json, cursor);
}

int outbox_push_message(Outbox *o, const char *json)
{
        return push(o, json, NULL);
}

/* Determines how many items go into the next frame, and their size in bytes with commas. */
static size_t measure(const Outbox *o, size_t *ret_bytes)
{
        size_t n = 0, bytes = 0, whole = 0, whole_bytes = 0;
        const Entry *e;

        for (e = o->entries; e && e->cursor; e = e->next) {
                if (n > 0 && (n >= OUTBOX_ITEMS_MAX || bytes + e->length > OUTBOX_BYTES_MAX))
                        break;
                n++;
                bytes += e->length + 1;
                if (!e->next || !e->next->cursor || !streq(e->next->cursor, e->cursor)) {
                        whole = n;
                        whole_bytes = bytes;
                }
        }
        /* The items at one cursor exceed a frame, so they must be divided. */
        if (whole == 0) {
                whole = n;
                whole_bytes = bytes;
        }
        *ret_bytes = whole_bytes;
        return whole;
}

static int build_batch(Outbox *o, char **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t n, bytes;
        Frame *f;
        char *p;

        n = measure(o, &bytes);
        text = malloc(sizeof(BATCH_HEAD) + bytes + sizeof(BATCH_TAIL));
        f = calloc(1, sizeof(*f));
        if (!text || !f) {
                free(f);
                return -ENOMEM;
        }
        DL_APPEND(o->frames, f);
        o->n_frames++;
        p = stpcpy(text, BATCH_HEAD);
        for (size_t i = 0; i < n; i++) {
                Entry *e = o->entries;

                if (i > 0)
                        *p++ = ',';
                /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): n entries are there */
                p = mempcpy(p, e->json, e->length);
                free(f->cursor);
                f->cursor = TAKE_PTR(e->cursor);
                o->waiting--;
                entry_free(o, e);
        }
        strcpy(p, BATCH_TAIL);
        f->items = n;
        o->in_flight += n;
        *ret = TAKE_PTR(text);
        return 1;
}

int outbox_next_frame(Outbox *o, char **ret)
{
        if (!o->entries)
                return 0;
        if (!o->entries->cursor) {
                *ret = TAKE_PTR(o->entries->json);
                entry_free(o, o->entries);
                return 1;
        }
        if (o->n_frames >= OUTBOX_FRAMES_MAX)
                return 0;
        return build_batch(o, ret);
}

size_t outbox_ack(Outbox *o, const char *cursor)
{
        size_t items = 0;
        Frame *f;

        /* Find the last frame with this cursor: if a cursor's items were divided, several frames end with it. */
        f = o->frames ? o->frames->prev : NULL;
        while (f && !streq(f->cursor, cursor))
                f = f == o->frames ? NULL : f->prev;
        if (!f)
                return 0;
        for (bool last = false; !last;) {
                last = o->frames == f;
                /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): f is on the list */
                items += o->frames->items;
                frame_free(o, o->frames);
        }
        return items;
}

size_t outbox_clear(Outbox *o)
{
        size_t lost = o->in_flight;

        while (o->entries)
                entry_free(o, o->entries);
        while (o->frames)
                frame_free(o, o->frames);
        return lost;
}

size_t outbox_waiting(const Outbox *o)
{
        return o->waiting;
}

size_t outbox_in_flight(const Outbox *o)
{
        return o->in_flight;
}

Outbox *outbox_free(Outbox *o)
{
        if (!o)
                return NULL;
        outbox_clear(o);
        free(o);
        return NULL;
}
