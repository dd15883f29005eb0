/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The routes of the REST API. */

#include "api/call.h"

/* Defined in the file of the same name. Each ends with an empty one. */
extern const ApiRoute api_account_routes[];
extern const ApiRoute api_admin_account_routes[];
extern const ApiRoute api_admin_audit_routes[];
extern const ApiRoute api_admin_sign_up_routes[];
extern const ApiRoute api_admin_figure_routes[];
extern const ApiRoute api_agent_routes[];
extern const ApiRoute api_announcement_routes[];
extern const ApiRoute api_audit_routes[];
extern const ApiRoute api_channel_routes[];
extern const ApiRoute api_event_routes[];
extern const ApiRoute api_export_routes[];
extern const ApiRoute api_instance_routes[];
extern const ApiRoute api_invitation_routes[];
extern const ApiRoute api_login_code_routes[];
extern const ApiRoute api_mail_routes[];
extern const ApiRoute api_notification_routes[];
extern const ApiRoute api_openapi_routes[];
extern const ApiRoute api_public_routes[];
extern const ApiRoute api_push_routes[];
extern const ApiRoute api_qr_routes[];
extern const ApiRoute api_server_routes[];
extern const ApiRoute api_service_routes[];
extern const ApiRoute api_session_routes[];
extern const ApiRoute api_sign_up_routes[];
extern const ApiRoute api_silence_routes[];
extern const ApiRoute api_team_routes[];
extern const ApiRoute api_timeline_routes[];
extern const ApiRoute api_token_routes[];
extern const ApiRoute api_usage_routes[];
extern const ApiRoute api_user_routes[];
extern const ApiRoute api_well_known_routes[];

int api_register(Backend *b, ApiRoutes **ret);
/* Prints a line per route: method, pattern, access and role (as in openapi.json; "-": none). */
void api_list_routes(FILE *f);
ApiRoutes *api_routes_free(ApiRoutes *r);
