/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libcurl's transfers in the sd-event loop. Names are resolved in threads of libcurl's own. */

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct CurlLoop CurlLoop;

int curl_loop_new(sd_event *event, CurlLoop **ret);
/* Drops the transfers under way; their done functions are called, with CURLE_ABORTED_BY_CALLBACK. */
CurlLoop *curl_loop_free(CurlLoop *l);
DEFINE_CLEANUP(CurlLoop *, curl_loop_free);

/* Starts the transfer. done is called exactly once, from the event loop, and owns the handle from there. -ENOMEM or
 * -EIO when it cannot be started: the handle stays the caller's. Sets CURLOPT_PRIVATE and what keeps the loop from
 * blocking. */
int curl_loop_add(CurlLoop *l, CURL *easy, void (*done)(CURL *easy, CURLcode code, void *userdata), void *userdata);
