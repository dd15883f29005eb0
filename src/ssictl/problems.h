/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the agent found in a script: the a(uss) of ValidateScript and AddService. */

#include "ctl.h"
#include "shared/json-util.h"

/* Prints them to f, a line each: "PATH:LINE: warning: TEXT". A negative errno. */
int problems_print(const Ctl *c, sd_bus_message *reply, const char *path, FILE *f);

/* The same as an array of {line, severity, text}. A negative errno. */
int problems_to_json(sd_bus_message *reply, json_object **ret);
