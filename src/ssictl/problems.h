/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The problems that the agent found in a script: the a(uss) of ValidateScript and AddService. */

#include "ctl.h"
#include "shared/json-util.h"

/* Prints them to f, one per line: "PATH:LINE: warning: TEXT". Returns a negative errno on failure. */
int problems_print(const Ctl *c, sd_bus_message *reply, const char *path, FILE *f);

/* The same as an array of {line, severity, text}. Returns a negative errno on failure. */
int problems_to_json(sd_bus_message *reply, json_object **ret);
