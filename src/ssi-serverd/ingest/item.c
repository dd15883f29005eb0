/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "ingest/item.h"

static size_t size_of(const char *s)
{
        return s ? strlen(s) + 1 : 0;
}

static const char *put(char **end, const char *s)
{
        char *copy = *end;

        if (!s)
                return NULL;
        *end = stpcpy(copy, s) + 1;
        return copy;
}

IngestItem *ingest_item_new(IngestKind kind, const IngestText *text)
{
        const IngestText t = text ? *text : (IngestText){};
        size_t size = sizeof(IngestItem) + size_of(t.service) + size_of(t.message) + size_of(t.error_kind) +
                      size_of(t.error_detail) + size_of(t.invocation_id) + size_of(t.cursor);
        IngestItem *item = malloc(size);
        char *end;

        if (!item)
                return NULL;
        *item = (IngestItem){
                .kind = kind,
                .status = _STATUS_INVALID,
                .gap_from = USEC_INFINITY,
                .duration_ms = -1,
                .size = size,
        };
        end = item->strings;
        item->text.service = put(&end, t.service);
        item->text.message = put(&end, t.message);
        item->text.error_kind = put(&end, t.error_kind);
        item->text.error_detail = put(&end, t.error_detail);
        item->text.invocation_id = put(&end, t.invocation_id);
        item->text.cursor = put(&end, t.cursor);
        return item;
}

IngestItem *ingest_item_free(IngestItem *item)
{
        if (!item)
                return NULL;
        for (size_t i = 0; i < item->n_services; i++) {
                free(item->services[i].name);
                free(item->services[i].title);
                free(item->services[i].metadata);
                free(item->services[i].schedule);
                free(item->services[i].watches);
                free(item->services[i].depends_on);
        }
        free(item->services);
        free(item);
        return NULL;
}

void ingest_items_free(IngestItem *list)
{
        IngestItem *item, *tmp;

        DL_FOREACH_SAFE(list, item, tmp)
                ingest_item_free(item);
}

size_t ingest_item_size(const IngestItem *item)
{
        size_t n = item->size;

        for (size_t i = 0; i < item->n_services; i++)
                n += sizeof(InventoryService) + 128 + strlen(strempty(item->services[i].metadata)) +
                     strlen(strempty(item->services[i].watches)) + strlen(strempty(item->services[i].depends_on));
        return n;
}
