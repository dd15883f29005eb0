/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The settings that all instances must have in common: what a host that joins gets, and must not contradict. */

#include "config/config.h"
#include "shared/json-util.h"

/* Name → value, as written in the file; "" for one that is not set. The values contain secrets. The caller owns it. */
int config_shared(const Config *c, json_object **ret);
/* The same of those that this host's own file sets. */
int config_shared_own(const Config *c, json_object **ret);

/* Whether two texts spell the same value of the setting; false also for unknown names and invalid values. */
bool config_is_same_value(const char *name, const char *a, const char *b);

/* The value is the path of a file, which does not travel. */
bool config_is_file(const char *name);

/* Appends NAME="VALUE" in the syntax of EnvironmentFile= (systemd.exec(5)). -EINVAL for a value that cannot be written. */
int config_write_line(FILE *f, const char *name, const char *value);
