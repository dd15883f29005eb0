/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parses the messages of an agent into checked values. */

#include "ingest/item.h"

#define AGENT_BATCH_MAX     1000
#define AGENT_INVENTORY_MAX 4096
#define AGENT_MESSAGE_MAX   4096 /* bytes, as for each field of free text */
#define AGENT_ERROR_MAX     128

typedef enum AgentMessageType {
        AGENT_MESSAGE_AUTH,
        AGENT_MESSAGE_ITEMS, /* results, execution errors, an inventory, a gap, or the start or end of a
                                   * replay */
        AGENT_MESSAGE_GOING_DOWN,
        AGENT_MESSAGE_ROTATE_KEY,
        AGENT_MESSAGE_UNKNOWN, /* of a later protocol: ignore it */
} AgentMessageType;

typedef struct AgentMessage {
        AgentMessageType type;
        char *agent_id, *api_key, *version, *hostname, *boot_id; /* auth; the last three may be NULL */
        bool cancelled;                                          /* going_down: the host stays up after all */
        IngestItem *items;                                       /* owned; a list (utlist.h) */
} AgentMessage;

/* -EBADMSG if it is not a message, or a field is missing or wrong; -EMSGSIZE if a field is too long;
 * -ENOMEM. For the first two, error is the reason, for people. */
int agent_message_parse(const char *text, size_t n, AgentMessage *ret, char error[static AGENT_ERROR_MAX]);
void agent_message_done(AgentMessage *m);
