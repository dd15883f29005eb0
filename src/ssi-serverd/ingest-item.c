#include <utlist.h>

#include "ingest-item.h"

IngestItem *ingest_item_new(IngestKind kind)
{
        IngestItem *item = malloc(sizeof(*item));

        if (item)
                *item = (IngestItem){
                        .kind = kind,
                        .status = _STATUS_INVALID,
                        .gap_from = USEC_INFINITY,
                        .duration_ms = -1,
                };
        return item;
}

IngestItem *ingest_item_free(IngestItem *item)
{
        if (!item)
                return NULL;
        for (size_t i = 0; i < item->n_services; i++) {
                free(item->services[i].name);
                free(item->services[i].title);
                free(item->services[i].description);
                free(item->services[i].version);
                free(item->services[i].schedule);
                free(item->services[i].watches);
                free(item->services[i].depends_on);
        }
        free(item->services);
        free(item->service);
        free(item->message);
        free(item->error_kind);
        free(item->error_detail);
        free(item->invocation_id);
        free(item->cursor);
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
        size_t n = sizeof(*item) + 128;

        n += strlen(strempty(item->message)) + strlen(strempty(item->error_detail)) + strlen(strempty(item->cursor));
        for (size_t i = 0; i < item->n_services; i++)
                n += sizeof(InventoryService) + 128 + strlen(strempty(item->services[i].description)) +
                     strlen(strempty(item->services[i].watches)) + strlen(strempty(item->services[i].depends_on));
        return n;
}
