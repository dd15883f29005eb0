/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Methods of the manager to which a script is given: ValidateScript, AddService, TestScript. */

#include "manager.h"

int manager_method_validate_script(sd_bus_message *message, void *userdata, sd_bus_error *error);
int manager_method_add_service(sd_bus_message *message, void *userdata, sd_bus_error *error);
int manager_method_test_script(sd_bus_message *message, void *userdata, sd_bus_error *error);
