/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"
#include "api/qr-code.h"
#include "api/field.h"

/* The text comes in the body: it may be a secret, and addresses end up in logs. */
static void make_qr(ApiCall *c)
{
        json_object *body = http_request_json(c->req);
        _cleanup_free_ char *svg = NULL;
        const char *text;
        size_t size;
        int r;

        if (!body)
                return;
        text = api_body_string(c, body, "text", 1, QR_TEXT_MAX);
        if (!text)
                return;
        r = qr_svg(text, &svg, &size);
        if (r == -E2BIG)
                api_invalid(c, "text is too long for a QR code.");
        else if (r < 0)
                api_fail(c, NULL, r);
        else
                http_respond_data(c->req, 200, "image/svg+xml; charset=utf-8", svg, size);
}

const ApiRoute api_qr_routes[] = {
        { "POST", "/api/v1/qr", API_READ, make_qr },
        {},
};
