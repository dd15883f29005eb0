/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* GET /metrics: figures for operators, in Prometheus' text format (version 0.0.4). Only for this machine,
 * and for clients with the token of SSI_METRICS_TOKEN. */

#include "core/backend.h"

int metrics_new(Backend *s, Metrics **ret);
/* The HTTP server must have answered or dropped all requests. */
Metrics *metrics_free(Metrics *m);
