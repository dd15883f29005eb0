/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks a running backend: its database, its replicas, its clock, disk and certificates, and says what to do. Reads only; nothing waits for
 * it. */

#include "core/backend.h"

typedef enum CheckStatus {
        CHECK_OK,
        CHECK_WARNING,
        CHECK_FAILURE,
} CheckStatus;

typedef struct CheckLine {
        const char *subject; /* a constant: "partitions" */
        CheckStatus status;
        char *message;
        char *advice; /* what to do; NULL: nothing */
} CheckLine;

typedef struct CheckReport {
        CheckLine *lines;
        size_t n;
} CheckReport;

typedef struct CheckOptions {
        bool deep;              /* look into indexes of any size */
        const char *cert, *ca;  /* the files of certificates; NULL if there are none */
        bool first_host_renews; /* the certificate is of a host that has joined */
} CheckOptions;

const char *check_status_to_string(CheckStatus status);

typedef struct Check Check;

/* Calls done once, later, with the report, which is freed afterwards, unless the check is freed before. Copies the options. */
int check_start(Backend *b, const CheckOptions *options, void (*done)(const CheckReport *report, void *userdata),
                void *userdata, Check **ret);
Check *check_free(Check *c);
