/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/mman.h>

#include "fuzz.h"
#include "shared/io-util.h"
#include "unit-dropin.h"

/* 1 or 0, with a reason that can be shown or none. */
static int judged(int r, char **why)
{
        check(r == 0 || r == 1);
        check(!*why == (r == 0));
        check(r == 0 || text_is_clean(*why));
        free(*why);
        *why = NULL;
        return r;
}

static int judge_file(const void *data, size_t n, const void *more, size_t n_more)
{
        _cleanup_close_ int fd = memfd_create("dropin", MFD_CLOEXEC);
        char path[64], *why = NULL;

        check(fd >= 0);
        check(write(fd, data, n) == (ssize_t) n && write(fd, more, n_more) == (ssize_t) n_more);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return judged(unit_dropin_widens(path, &why), &why);
}

/* Whatever else it says, what gives the run more is found in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static const char *const more[] = { "\n[Service]\nUser=root\n", "\nAmbientCapabilities=CAP_SYS_ADMIN" };
        _cleanup_free_ char *text = memdup_string((const char *) data, n);
        char *why = NULL;

        check(text);
        judge_file(data, n, "", 0);
        for (size_t i = 0; i < ELEMENTSOF(more); i++) {
                _cleanup_free_ char *longer = NULL;

                check(judge_file(data, n, more[i], strlen(more[i])) == 1);
                check(asprintf(&longer, "%s%s", text, more[i]) >= 0);
                check(judged(unit_text_widens("a-name", longer, &why), &why) == 1);
        }
        /* Nothing that may stand in a drop-in harms the unit's own file, but what undoes that. */
        if (judged(unit_text_widens("a-name", text, &why), &why) == 0)
                check(strstr(text, "\nDynamicUser=yes\n"));
        return 0;
}
