/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "shared/slug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_free_ char *name = NULL, *slug = NULL, *again = NULL, *unit = NULL, *rebuilt = NULL;
        char found[SLUG_MAX + 1];
        int r;

        name = memdup_string((const char *) data, n);
        check(name);

        r = slug_from_name(name, &slug);
        check(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
        if (r == 0) {
                check(slug_is_valid(slug));
                check(slug_from_name(slug, &again) == 0 && streq(slug, again));
                unit = slug_to_unit(slug, ".service");
                check(unit && slug_from_service_unit(unit, found) == 0 && streq(slug, found));
        } else
                check(!slug);

        if (slug_is_valid(name))
                check(r == 0 && streq(slug, name));
        if (slug_from_service_unit(name, found) == 0) {
                check(slug_is_valid(found));
                rebuilt = slug_to_unit(found, ".service");
                check(rebuilt && streq(rebuilt, name));
        }
        return 0;
}
