/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changes the agent's key for a caller on the bus, who is answered when the backend has accepted the new one. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct Rotation Rotation;

/* Saves the key beside the old one and connects with it. */
typedef int (*rotation_key_t)(const char *key, void *userdata);

/* The session has been asked for a key. *slot refers to the rotation until it has ended. */
int rotation_start(Rotation **slot, sd_event *event, sd_bus_message *message, rotation_key_t take, void *userdata);
Rotation *rotation_free(Rotation *r);

/* What the session reports; r may be NULL. */
void rotation_take_key(Rotation *r, const char *key);
void rotation_connected(Rotation *r, bool next_key);
void rotation_disconnected(Rotation *r, const char *reason, bool final);
