/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <qrencode.h>
#include <stdio.h>

#include "api/qr-code.h"

#define QUIET 4 /* modules, as the standard requires */

static QRcode *qr_free(QRcode *q)
{
        if (q)
                QRcode_free(q);
        return NULL;
}
DEFINE_CLEANUP(QRcode *, qr_free);

/* One rectangle for each run of dark modules. */
static void write_row(FILE *f, const unsigned char *row, int y, int width)
{
        for (int x = 0, n; x < width; x += n) {
                for (n = 1; x + n < width && ((row[x + n] ^ row[x]) & 1) == 0; n++)
                        ;
                if (row[x] & 1)
                        fprintf(f, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, n, n);
        }
}

int qr_svg(const char *text, char **ret, size_t *ret_size)
{
        _cleanup_(qr_freep) QRcode *q = NULL;
        char *svg = NULL;
        size_t size;
        FILE *f;

        q = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
        if (!q)
                return errno == ERANGE ? -E2BIG : -ENOMEM;
        f = open_memstream(&svg, &size);
        if (!f)
                return -ENOMEM;
        fprintf(f,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %1$d %1$d\" shape-rendering=\"crispEdges\">"
                "<path fill=\"#fff\" d=\"M0 0h%1$dv%1$dH0z\"/><path d=\"",
                q->width + 2 * QUIET);
        for (int y = 0; y < q->width; y++)
                write_row(f, q->data + (size_t) y * (size_t) q->width, y, q->width);
        fputs("\"/></svg>\n", f);
        if (fclose(f) != 0) {
                free(svg);
                return -ENOMEM;
        }
        *ret = svg;
        *ret_size = size;
        return 0;
}
