/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The types of channels: what each needs to be told, and how a message becomes a request to it. */

#include "notify/delivery.h"
#include "notify/message.h"
#include "notify/web-push.h"

/* What stands for a secret that was not given back. A value that holds it is not taken as a new one. */
#define CHANNEL_MASK "\u2022\u2022\u2022\u2022"

bool channel_type_is_known(const char *type);

/* Checks a whole config (an object). -EINVAL with a sentence for people (to be freed) when it does not do. */
int channel_config_check(const char *type, json_object *config, char **ret_detail);

/* A copy of config in which tokens, addresses that hold some and the values of headers are masked. */
int channel_config_mask(const char *type, json_object *config, json_object **ret);

/* A copy of old with the members of change put into it; null removes one. Masked values leave what was there. */
int channel_config_merge(json_object *old, json_object *change, json_object **ret);

/* For the types that go by HTTP. -EINVAL when the config does not do. */
int channel_request(const char *type, json_object *config, NotifyMessage *m, HttpMessage *ret);

/* To a browser. subject: see vapid_authorization(). */
int push_request(const char *endpoint, const char *p256dh, const char *auth, const VapidKey *key, const char *subject,
                 NotifyMessage *m, uint64_t now, HttpMessage *ret);
