#pragma once

/* Installing and removing services: one at a time, in the order of the requests, each in asynchronous steps. The caller
 * has authorised the request. A failure at any step puts everything back, and is what the request is answered with. */

#include <systemd/sd-bus.h>

#include "metadata.h"

typedef struct Manager Manager;
typedef struct Operation Operation;

/* Waiting and under way. */
#define OPERATIONS_MAX 64

typedef struct AddOptions {
        int replace; /* an installed service of this name is replaced, its history kept */
        int run;     /* run once when installed */
} AddOptions;

/* metadata is taken in any case; filename and content are copied. The request is answered later. */
int operation_add(Manager *m, sd_bus_message *request, const char *filename, const char *content,
                  Metadata *metadata_taken, const AddOptions *options, sd_bus_error *error);
int operation_remove(Manager *m, sd_bus_message *request, const char *slug, sd_bus_error *error);

Operation *operation_free(Operation *o);
Operation *operation_next(Operation *o);
