/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"

static const unsigned char document[] = {
#include "openapi.inc"
};

static void get_openapi(ApiCall *c)
{
        http_respond_data(c->req, 200, "application/json", document, sizeof(document));
}

const ApiRoute api_openapi_routes[] = {
        { "GET", "/api/v1/openapi.json", API_OPEN, get_openapi },
        {},
};
