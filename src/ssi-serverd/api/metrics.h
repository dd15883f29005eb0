/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* GET /metrics: what operators watch, in Prometheus' text format (version 0.0.4). For this machine, and for who has the
 * token of SSI_METRICS_TOKEN. */

#include "core/backend.h"

int metrics_new(Backend *s, Metrics **ret);
/* The HTTP server has answered or dropped all requests before. */
Metrics *metrics_free(Metrics *m);
