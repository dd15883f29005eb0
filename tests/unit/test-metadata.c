/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "shared/metadata.h"

static const char good[] = "#!/bin/bash\n"
                           "\n"
                           "# name: System Updates\n"
                           "# description: Checking for system updates\n"
                           "# version: 1.0\n"
                           "# schedule: *:0/01:00\n"
                           "# timeout: 20\n"
                           "\n"
                           "# --- Description ---\n"
                           "# note: not a key any more, the block has ended\n"
                           "echo\n";

static Metadata *parse(const char *s)
{
        Metadata *m = NULL;

        assert_int_equal(metadata_parse(s, strlen(s), &m), 0);
        return m;
}

static void assert_problem(const Metadata *m, unsigned line, bool warning, const char *part)
{
        for (size_t i = 0; i < m->n_problems; i++)
                if (m->problems[i].line == line && m->problems[i].warning == warning &&
                    strstr(m->problems[i].text, part))
                        return;
        fail_msg("no problem in line %u with \"%s\"", line, part);
}

static void test_good(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = parse(good);

        assert_int_equal(m->n_problems, 0);
        assert_string_equal(m->slug, "system-updates");
        assert_string_equal(m->value[METADATA_NAME], "System Updates");
        assert_string_equal(m->value[METADATA_SCHEDULE], "*:0/01:00");
        assert_string_equal(m->value[METADATA_TIMEOUT], "20");
        assert_false(metadata_is_privileged(m));
}

static void test_licence_is_no_unknown_key(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = parse("#!/bin/bash\n"
                                                      "# SPDX-"
                                                      "License-Identifier: MIT-0\n"
                                                      "# SPDX-FileCopyrightText: somebody\n"
                                                      "# name: A\n"
                                                      "# description: B\n"
                                                      "# version: 1\n"
                                                      "# schedule: daily\n"
                                                      "# timeout: 1s\n"
                                                      "true\n");

        assert_int_equal(m->n_problems, 0);
}

static void test_missing_repeated_unknown(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = parse("#!/bin/bash\n"
                                                      "# name: A\n"
                                                      "# name: B\n"
                                                      "# colour: red\n"
                                                      "# version:\n"
                                                      "true\n");

        assert_problem(m, 3, false, "duplicate");
        assert_problem(m, 4, true, "unknown key \"colour\"");
        assert_problem(m, 5, false, "no value");
        assert_problem(m, 5, false, "\"description\" is missing");
        assert_problem(m, 5, false, "\"schedule\" is missing");
        assert_problem(m, 5, false, "\"timeout\" is missing");
        assert_int_equal(m->n_errors, 5);
        assert_string_equal(m->value[METADATA_NAME], "A");
}

static void test_privileged(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = parse("#!/bin/bash\n# name: A\n# user: root\n");
        _cleanup_(metadata_freep) Metadata *n = parse("#!/bin/bash\n# name: A\n# sandbox: off\n");
        _cleanup_(metadata_freep) Metadata *o = parse("#!/bin/bash\n# name: A\n# user: Ro ot\n# sandbox: maybe\n");

        assert_true(metadata_is_privileged(m));
        assert_true(metadata_is_privileged(n));
        assert_problem(o, 3, false, "not a valid user name");
        assert_problem(o, 4, false, "\"on\" or \"off\"");
}

static void test_hostile(void **state)
{
        static const char *const texts[] = {
                "",
                "#",
                "#!",
                "\n\n\n",
                "#!/bin/bash",
                "# name: A",
                "#!/bin/sh\n# name: A\n",
                "#!/bin/bash\r\n# name: A\r\n",
                "#!/bin/bash\n# name: \xff\xfe\n",
                "#!/bin/bash\n# name: a\x01"
                "b\n",
                "#!/bin/bash\n# name: a\xc2\x8c\n",
                "#!/bin/bash\n# name: ---\n",
                "#!/bin/bash\n# name: ../../etc\n# :\n#:\n# a:\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_(metadata_freep) Metadata *m = parse(texts[i]);
                _cleanup_free_ char *formatted = metadata_format_problems(m, "x.bash");

                assert_true(m->n_errors > 0);
                assert_non_null(formatted);
                assert_true(!m->slug || !strchr(m->slug, '/'));
        }
}

/* They would reach terminals. */
static void test_control_characters(void **state)
{
        _cleanup_(metadata_freep) Metadata *m =
                parse("#!/bin/bash\n# name: a\xc2\x9b\n# user: b\xc2\x80\n# version: \xc2\xa0\n");

        assert_problem(m, 2, false, "control characters");
        assert_problem(m, 3, false, "control characters");
        assert_null(m->value[METADATA_NAME]);
        assert_string_equal(m->value[METADATA_VERSION], "\xc2\xa0");
}

static void test_reserved(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = parse("#!/bin/bash\n# name: Serverd\n");
        _cleanup_(metadata_freep) Metadata *ca = parse("#!/bin/bash\n# name: Server CA\n");

        assert_problem(m, 2, false, "SSI's own");
        assert_problem(ca, 2, false, "SSI's own");
}

static void test_crlf(void **state)
{
        _cleanup_(metadata_freep) Metadata *m = parse("#!/bin/bash\r\n# name: A b\r\n");

        assert_string_equal(m->value[METADATA_NAME], "A b");
        assert_string_equal(m->slug, "a-b");
}

static void test_many_problems(void **state)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = open_memstream(&text, &n);
        fputs("#!/bin/bash\n", f);
        for (int i = 0; i < 10000; i++)
                fprintf(f, "# key%d: x\n", i);
        fclose(TAKE_PTR(f));

        _cleanup_(metadata_freep) Metadata *m = parse(text);
        assert_int_equal(m->n_problems, 100);
        assert_int_equal(m->n_errors, 5);
}

static Metadata *parse_watches(const char *value)
{
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text,
                             "#!/bin/bash\n# name: n\n# description: d\n# version: 1\n# schedule: hourly\n"
                             "# timeout: 20\n# watches: %s\n",
                             value) > 0);
        return parse(text);
}

static void test_watches(void **state)
{
        static const char *const bad[] = {
                "nginx",
                ".service",
                "x@.service",
                "@x.service",
                "a b.service",
                "../x.service",
                "ssi-other.service",
                "x.servicex",
                "1.service,2.service,3.service,4.service,5.service,6.service,7.service,8.service,9.service,10.service,"
                "11.service,12.service,13.service,14.service,15.service,16.service,17.service",
        };
        static const char *const words[] = { "a.service", "b@x.socket", "dev-sda\\x2d1.device", "ssi-serverd.service" };
        _cleanup_(metadata_freep) Metadata *m =
                parse_watches("a.service, b@x.socket ,, dev-sda\\x2d1.device,ssi-serverd.service");
        const char *list = m->value[METADATA_WATCHES], *word;

        assert_int_equal(m->n_problems, 0);
        assert_false(metadata_is_privileged(m));
        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                size_t n = metadata_next_word(&list, &word);

                assert_int_equal(n, strlen(words[i]));
                assert_memory_equal(word, words[i], n);
        }
        assert_int_equal(metadata_next_word(&list, &word), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_(metadata_freep) Metadata *b = parse_watches(bad[i]);

                assert_problem(b, 7, false, "watches");
        }
}

/* Whatever a header says of them, it fits into one object. */
static void test_passive_keys(void **state)
{
        size_t n = 0, size = 0;

        for (MetadataKey k = 0; k < _METADATA_KEY_MAX; k++) {
                _cleanup_free_ char *longest = calloc(1, metadata_key_max(k) + 1);

                memset(longest, 'x', metadata_key_max(k));
                if (metadata_key_is_passive(k))
                        assert_true(metadata_passive_fits(metadata_key_to_string(k), longest, &n, &size));
        }
        assert_true(metadata_key_is_passive(METADATA_DESCRIPTION));
        assert_true(metadata_key_is_passive(METADATA_VERSION));
        assert_false(metadata_key_is_passive(METADATA_USER));
}

static void test_passive_bounds(void **state)
{
        char value[513] = "", key[34] = "";
        size_t n = 0, size = 0;

        memset(value, 'v', 512);
        memset(key, 'k', 33);
        assert_false(metadata_passive_fits(key, "", &n, &size));
        key[32] = '\0';
        assert_true(metadata_passive_fits(key, "", &n, &size));
        assert_int_equal(n, 1);
        assert_int_equal(size, 32);
        assert_false(metadata_passive_fits("", "v", &n, &size));
        assert_false(metadata_passive_fits("Key", "v", &n, &size));
        assert_false(metadata_passive_fits("k1", "v", &n, &size));
        assert_false(metadata_passive_fits("k", (char[514]){ [0 ... 512] = 'v' }, &n, &size));
        assert_int_equal(n, 1);
        while (size + 513 <= METADATA_PASSIVE_SIZE_MAX)
                assert_true(metadata_passive_fits("k", value, &n, &size));
        assert_false(metadata_passive_fits("k", value, &n, &size));
        while (n < METADATA_PASSIVE_MAX)
                assert_true(metadata_passive_fits("a-b", "v", &n, &size));
        assert_false(metadata_passive_fits("a-b", "v", &n, &size));
        assert_true(size <= METADATA_PASSIVE_SIZE_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_licence_is_no_unknown_key),
                cmocka_unit_test(test_missing_repeated_unknown),
                cmocka_unit_test(test_privileged),
                cmocka_unit_test(test_hostile),
                cmocka_unit_test(test_control_characters),
                cmocka_unit_test(test_reserved),
                cmocka_unit_test(test_crlf),
                cmocka_unit_test(test_many_problems),
                cmocka_unit_test(test_watches),
                cmocka_unit_test(test_passive_keys),
                cmocka_unit_test(test_passive_bounds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
