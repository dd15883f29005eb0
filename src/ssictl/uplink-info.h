/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the uplink says of the connection to the backend. Strings are owned. */

#include "ctl.h"

typedef struct UplinkInfo {
        int connected;
        char *server_url, *agent_id, *last_error;
        uint64_t last_ack, backlog, sent, failed, reconnects;
} UplinkInfo;

void uplink_info_done(UplinkInfo *i);

/* On the open connection. Without start, an uplink that is not running is not started, which is an error as well. A
 * negative errno with the error filled in. */
int uplink_info_get(Ctl *c, bool start, UplinkInfo *ret, sd_bus_error *error);
