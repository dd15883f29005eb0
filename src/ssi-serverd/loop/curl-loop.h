/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libcurl transfers in the sd-event loop. libcurl resolves names in its own threads. */

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "shared/util.h"

typedef struct CurlLoop CurlLoop;

int curl_loop_new(sd_event *event, CurlLoop **ret);
/* Drops the transfers under way and calls their done functions with CURLE_ABORTED_BY_CALLBACK. */
CurlLoop *curl_loop_free(CurlLoop *l);
DEFINE_CLEANUP(CurlLoop *, curl_loop_free);

/* Starts the transfer. done is called exactly once, from the event loop, and takes ownership of the handle.
 * On -ENOMEM and -EIO nothing is started and the caller keeps the handle. Sets CURLOPT_PRIVATE and the
 * options that keep the transfer from blocking the loop. */
int curl_loop_add(CurlLoop *l, CURL *easy, void (*done)(CURL *easy, CURLcode code, void *userdata), void *userdata);
