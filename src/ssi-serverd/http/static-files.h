/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Serves the dashboard's files. Never leaves its folder, follows no symlinks, shows no hidden files. */

#include "http/http.h"

typedef struct StaticFiles StaticFiles;

int static_files_new(const char *dir, StaticFiles **ret);
StaticFiles *static_files_free(StaticFiles *f);

/* Answers a GET or HEAD for the request's path. A path without a dot in its last segment is a page that the
 * dashboard routes itself: it gets index.html. */
void static_files_serve(StaticFiles *f, HttpRequest *req);
