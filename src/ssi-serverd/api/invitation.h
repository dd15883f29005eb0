/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Invitations of accounts, to the backend or to a team. */

#include "api/call.h"
#include "model/invitation.h"

/* The address (optional) and lifetime of the body; false if it has answered. */
bool api_parse_invitation(ApiCall *c, json_object *body, InvitationNew *ret);
/* Makes it, and answers. */
void api_make_invitation(ApiCall *c, const InvitationNew *new);
