/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command-check.h"
#include "fuzz.h"
#include "shared/metadata.h"
#include "shared/slug.h"

static void check_values(const Metadata *m, size_t lines)
{
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++) {
                const char *v = m->value[k];

                check(m->line[k] <= lines);
                if (!v)
                        continue;
                check(m->line[k] > 0);
                check(!isempty(v) && strlen(v) <= metadata_key_max(k));
                check(text_is_clean(v));
        }
        check(!m->slug || slug_is_valid(m->slug));
}

static void check_installable(const Metadata *m)
{
        check(m->slug);
        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++)
                check(m->value[k] || !metadata_key_is_required(k));
        check(!m->sandbox_off || metadata_is_privileged(m));
}

static void check_problems(const Metadata *m, size_t lines)
{
        _cleanup_free_ char *text = NULL;
        size_t errors = 0, newlines = 0;

        for (size_t i = 0; i < m->n_problems; i++) {
                const ScriptProblem *p = m->problems + i;

                check(p->line >= 1 && p->line <= lines);
                check(!isempty(p->text) && text_is_clean(p->text));
                errors += !p->warning;
        }
        check(m->n_problems <= 100 && errors <= m->n_errors);
        text = metadata_format_problems(m, "f");
        check(text);
        for (const char *p = text; *p; p++)
                newlines += *p == '\n';
        check(newlines + 1 == MAX(m->n_problems, 1U));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(metadata_freep) Metadata *m = NULL;
        size_t lines = 1;

        check(metadata_parse((const char *) data, n, &m) == 0);
        check(commands_check(m, (const char *) data, n) == 0);
        for (size_t i = 0; i < n; i++)
                lines += data[i] == '\n';
        check_values(m, lines);
        check_problems(m, lines);
        if (m->n_errors == 0)
                check_installable(m);
        return 0;
}
