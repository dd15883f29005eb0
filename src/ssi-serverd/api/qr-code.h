/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes QR codes as SVG, with libqrencode. */

#include "shared/util.h"

#define QR_TEXT_MAX ((size_t) 1024)

/* The QR code (ISO/IEC 18004) of the text as an SVG document: dark on white on any background, with its
 * quiet zone. -E2BIG if the text does not fit, -ENOMEM. */
int qr_svg(const char *text, char **ret, size_t *ret_size);
