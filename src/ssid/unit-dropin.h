/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What others make of a unit that ssid writes: drop-ins (systemd.unit(5)), and edits of the file itself. They may let its run do
 * more than the script's header says.
 *
 * A setting widens unless it is on a short list of settings that cannot. So does what cannot be read or understood. A line counts as
 * an assignment wherever it stands: sections and continued lines are not followed, which can only find more.
 *
 * Each function returns 1 when something widens, with *ret_why as a clause ("/etc/… sets User="); 0 when nothing does; -ENOMEM.
 * They read files, which blocks for as long as that takes. */

#include "shared/util.h"

/* Of the unit, of the prefixes of its name and of its type, in every folder in which systemd looks; one that is overridden or masked
 * does not count. */
int unit_dropins_widen(const char *unit, char **ret_why);

/* The same in other folders, first those that override; the list ends with NULL. */
int unit_dropins_widen_in(const char *const *folders, const char *unit, char **ret_why);

/* One that systemd has loaded. */
int unit_dropin_widens(const char *path, char **ret_why);

/* The text of a service's unit file, compared with what ssid writes for a script that asks for nothing. */
int unit_text_widens(const char *slug, const char *text, char **ret_why);
