/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Registers with a backend for a caller on the bus: claims an agent with a token, saves its credentials, connects,
 * and then answers the call. */

#include <systemd/sd-bus.h>

#include "credentials.h"
#include "net.h"

typedef struct Registration Registration;

/* Connects with the credentials, which have been saved. Takes ownership of both, also on failure. */
typedef int (*registration_claimed_t)(Credentials *credentials, ServerUrl *url, void *userdata);

/* Nothing was claimed. The network may trust other authorities now. */
typedef void (*registration_failed_t)(void *userdata);

/* *slot refers to the registration until it has ended. */
int registration_start(Registration **slot, Net *net, sd_bus_message *message, const char *server_url,
                       const char *claim_token, const char *ca, registration_claimed_t claimed,
                       registration_failed_t failed, void *userdata, sd_bus_error *error);
/* The result of the connection attempt. r may be NULL. */
void registration_connected(Registration *r);
void registration_disconnected(Registration *r, const char *reason, bool final);
Registration *registration_free(Registration *r);
