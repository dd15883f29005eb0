/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mails to an account: verification of its address, reset of its password. */

#include "api/call.h"

/* Whether this server sends mail, with addresses in it that lead back. */
bool api_has_mail(ApiCall *c);

/* Asks for a mail of this kind ("verify", "reset") to each u of what comes FROM: rows with the id and email of accounts.
 * Requests only write into the outbox; notifier_kick() after the commit has it looked at. */
#define API_SQL_MAIL(kind, from)                                                                                \
        "INSERT INTO notification_outbox (public_id, queue, user_id, payload)"                                  \
        " SELECT notification_id(), 'account ' || u.id, u.id, jsonb_build_object('kind', '" kind "', 'email', u.email)"\
        " FROM " from
