/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include <utlist.h>

#include "agent/message.h"
#include "shared/metadata.h"
#include "shared/slug.h"

#define YEAR_10000 (UINT64_C(253402300800) * USEC_PER_SEC)

static void check_text(const char *s, size_t max)
{
        check(!s || (strlen(s) <= max && utf8_is_valid(s, strlen(s))));
}

static void check_inventory(const IngestItem *item)
{
        check(item->n_services <= AGENT_INVENTORY_MAX);
        for (size_t i = 0; i < item->n_services; i++) {
                const InventoryService *s = &item->services[i];

                check(slug_is_valid(s->name));
                /* Ingestion searches them. */
                check(i == 0 || strcmp(item->services[i - 1].name, s->name) < 0);
                check_text(s->title, AGENT_MESSAGE_MAX);
                /* Escapes make JSON longer than what it says, at most six times. */
                check_text(s->metadata, 6 * METADATA_PASSIVE_SIZE_MAX + METADATA_PASSIVE_MAX * 6 + 2);
                check_text(s->schedule, AGENT_MESSAGE_MAX);
                check(s->timeout_ms >= -1);
                check(s->next_run == USEC_INFINITY || s->next_run < YEAR_10000);
        }
}

static void check_item(const IngestItem *item)
{
        check_text(item->text.message, AGENT_MESSAGE_MAX);
        check_text(item->text.error_detail, AGENT_MESSAGE_MAX);
        check_text(item->text.cursor, AGENT_MESSAGE_MAX);
        check(item->timestamp < YEAR_10000);
        check(item->gap_from == USEC_INFINITY || item->gap_from < YEAR_10000);
        check(item->duration_ms >= -1);
        check(!item->text.invocation_id || strlen(item->text.invocation_id) == 32);
        switch (item->kind) {
        case INGEST_RESULT:
                check(slug_is_valid(item->text.service) && item->text.message && !item->text.error_kind);
                check(item->status >= 0 && item->status < _STATUS_MAX);
                break;
        case INGEST_ERROR:
                check(slug_is_valid(item->text.service) && item->text.error_kind && !item->text.message);
                check(item->status == _STATUS_INVALID);
                break;
        case INGEST_INVENTORY:
                check_inventory(item);
                break;
        default:
                check(!item->text.service);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        char error[AGENT_ERROR_MAX];
        AgentMessage m = {};
        IngestItem *item;
        size_t count;
        int r;

        r = agent_message_parse((const char *) data, n, &m, error);
        check(r == 0 || r == -EBADMSG || r == -EMSGSIZE);
        if (r < 0) {
                check(error[0] != '\0' && memchr(error, '\0', sizeof(error)));
                check(!m.items && !m.agent_id);
                return 0;
        }
        check((m.type == AGENT_MESSAGE_AUTH) == (m.agent_id && m.api_key));
        check(m.type == AGENT_MESSAGE_AUTH || !m.boot_id);
        check(!m.boot_id || strlen(m.boot_id) <= 64);
        check(m.type == AGENT_MESSAGE_ITEMS || !m.items);
        DL_COUNT(m.items, item, count);
        check(count <= AGENT_BATCH_MAX);
        DL_FOREACH(m.items, item)
                check_item(item);
        agent_message_done(&m);
        return 0;
}
