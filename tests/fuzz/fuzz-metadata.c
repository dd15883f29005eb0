/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bash-scan.h"
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

/* However many bytes are read at once, the same words are found. */
static void add_word(const BashWord *word, void *userdata)
{
        uint64_t *sum = userdata;

        for (size_t i = 0; i < word->n; i++)
                *sum = *sum * 31 + (unsigned char) word->s[i];
        *sum = (*sum * 31 + word->line) * 2 + word->function;
}

static uint64_t find_words(const char *s, size_t n, size_t at_once)
{
        _cleanup_(bash_scan_freep) BashScan *scan = NULL;
        uint64_t sum = 0;

        check(bash_scan_new(s, n, add_word, &sum, &scan) == 0);
        while (!bash_scan_read(scan, at_once))
                ;
        return sum;
}

static void check_commands(Metadata *m, const char *s, size_t n)
{
        _cleanup_(command_check_freep) CommandCheck *c = NULL;
        int r;

        check(command_check_new(s, n, &c) == 0);
        while ((r = command_check_read(c, m)) == 0)
                ;
        check(r == 1);
        check(find_words(s, n, 1) == find_words(s, n, SIZE_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(metadata_freep) Metadata *m = NULL;
        size_t lines = 1;

        check(metadata_parse((const char *) data, n, &m) == 0);
        check_commands(m, (const char *) data, n);
        for (size_t i = 0; i < n; i++)
                lines += data[i] == '\n';
        check_values(m, lines);
        check_problems(m, lines);
        if (m->n_errors == 0)
                check_installable(m);
        return 0;
}
