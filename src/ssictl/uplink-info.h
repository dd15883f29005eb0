/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The uplink's data about the connection to the backend. Strings are owned. */

#include "ctl.h"

typedef struct UplinkInfo {
        int connected;
        char *server_url, *agent_id, *last_error;
        uint64_t last_ack, backlog, sent, failed, reconnects;
} UplinkInfo;

void uplink_info_done(UplinkInfo *i);

/* Uses the open connection. start: whether to start an uplink that is not running; otherwise this is an error, too.
 * On failure, returns a negative errno and sets error. */
int uplink_info_get(Ctl *c, bool start, UplinkInfo *ret, sd_bus_error *error);
