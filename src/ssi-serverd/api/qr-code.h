/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* QR codes as SVG, by libqrencode. */

#include "shared/util.h"

#define QR_TEXT_MAX ((size_t) 1024)

/* The QR code (ISO/IEC 18004) of the text, as an SVG document: dark on white whatever surrounds it, with its quiet zone.
 * -E2BIG when the text does not fit, -ENOMEM. */
int qr_svg(const char *text, char **ret, size_t *ret_size);
