/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changes that wait, each once. */

#include <uthash.h>

#include "core/changes.h"

typedef struct WaitingChange {
        Change change;
        char *key;
        UT_hash_handle hh;
} WaitingChange;

typedef struct ChangeSet {
        WaitingChange *items; /* in the order in which they came first */
        Changes changes;      /* the same; owns the strings */
} ChangeSet;

/* Copies. -ENOMEM. */
int change_set_add(ChangeSet *s, const Change *change);
void change_set_clear(ChangeSet *s);
