#pragma once

#include "api.h"

/* Makes a session of c->user, provided that password_hash is still the one that counts, and answers with its tokens. */
void api_session_start(ApiCall *c, const char *password_hash);

/* 401 bad-credentials: api-users.c. */
void api_respond_bad_credentials(ApiCall *c);
