/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The types of channels: which settings each needs, and how a message becomes a request. */

#include "notify/delivery.h"
#include "notify/message.h"
#include "notify/web-push.h"

/* Replaces a secret in answers. A value that contains it is not accepted as a new one. */
#define CHANNEL_MASK "\u2022\u2022\u2022\u2022"

/* Checks a whole config (an object). -EINVAL with a sentence for people (to be freed) if it is invalid. */
int channel_config_check(const char *type, json_object *config, char **ret_detail);

/* Copies config with masked tokens, masked addresses that contain secrets, and masked header values. */
int channel_config_mask(const char *type, json_object *config, json_object **ret);

/* Copies old and merges the members of change into it; null removes one. Masked values keep the old
 * value. But when the address changes, all secrets that the change does not contain are dropped: they were
 * meant for the old one, and whoever may change a channel need not know them. */
int channel_config_merge(const char *type, json_object *old, json_object *change, json_object **ret);

/* The name of a secret of old that would be dropped without the change saying so: neither a new value nor null. NULL if
 * there is none. */
const char *channel_config_lost_secret(const char *type, json_object *old, json_object *change);

/* For the channel types that use HTTP. -EINVAL if the config is invalid. */
int channel_request(const char *type, json_object *config, NotifyMessage *m, HttpMessage *ret);

/* For a browser. subject: see vapid_authorization(). */
int push_request(const char *endpoint, const char *p256dh, const char *auth, const VapidKey *key, const char *subject,
                 NotifyMessage *m, uint64_t now, HttpMessage *ret);
