/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bash-scan.h"
#include "command-check.h"
#include "test.h"

#define HEADER "#!/bin/bash\n# name: X\n# description: d\n# version: 1\n# schedule: hourly\n# timeout: 20\n"

/* How often it was called until it was done. */
static unsigned read_all(Metadata *m, const char *text, size_t n)
{
        _cleanup_(command_check_freep) CommandCheck *c = NULL;
        unsigned calls = 1;
        int r;

        assert_int_equal(command_check_new(text, n, &c), 0);
        while ((r = command_check_read(c, m)) == 0)
                calls++;
        assert_int_equal(r, 1);
        return calls;
}

/* The lines of the body, from 1, that are warned of, as "1 systemctl 3 ping". */
static char *check(const char *more, const char *body)
{
        _cleanup_free_ char *text = NULL, *result = strdup("");
        unsigned head = 6;
        Metadata *m = NULL;

        for (const char *p = more; *p; p++)
                head += *p == '\n';
        assert_true(asprintf(&text, HEADER "%s%s", more, body) >= 0);
        assert_int_equal(metadata_parse(text, strlen(text), &m), 0);
        assert_int_equal(m->n_problems, 0);
        read_all(m, text, strlen(text));
        assert_int_equal(m->n_errors, 0);
        for (size_t i = 0; i < m->n_problems; i++) {
                const char *name = m->problems[i].text + 1;
                char *longer;

                assert_true(m->problems[i].warning);
                assert_true(asprintf(&longer, "%s%s%u %.*s", result, i ? " " : "", m->problems[i].line - head,
                                     (int) strcspn(name, "\""), name) >= 0);
                free(result);
                result = longer;
        }
        metadata_free(m);
        return TAKE_PTR(result);
}

static void add_word(const BashWord *word, void *userdata)
{
        fprintf(userdata, "%u%s %.*s\n", word->line, word->function ? "()" : "", (int) word->n, word->s);
}

static char *words(const char *text, size_t at_once)
{
        _cleanup_(bash_scan_freep) BashScan *scan = NULL;
        _cleanup_free_ char *found = NULL;
        size_t n;
        FILE *f;

        f = open_memstream(&found, &n);
        assert_non_null(f);
        assert_int_equal(bash_scan_new(text, strlen(text), add_word, f, &scan), 0);
        while (!bash_scan_read(scan, at_once))
                ;
        assert_int_equal(fclose(f), 0);
        return TAKE_PTR(found);
}

/* Wherever a slice ends. */
static void assert_same_in_slices(const char *text)
{
        _cleanup_free_ char *whole = words(text, SIZE_MAX);

        for (size_t at_once = 1; at_once <= strlen(text); at_once++) {
                _cleanup_free_ char *found = words(text, at_once);

                assert_string_equal(found, whole);
        }
}

static void assert_found(const char *body, const char *expected)
{
        _cleanup_free_ char *found = check("", body);

        if (!streq(found, expected))
                fail_msg("\"%s\", not \"%s\", in:\n%s", found, expected, body);
        assert_same_in_slices(body);
}

static void test_found(void **state)
{
        assert_found("systemctl is-active --quiet nginx && ssi_ok x || ssi_failure y\n", "1 systemctl");
        assert_found("systemctl", "1 systemctl");
        assert_found("x\n\n  ping -c 1 h\n", "3 ping");
        assert_found("if systemctl is-active x; then :; fi\n", "1 systemctl");
        assert_found("if ! systemctl is-active x\nthen\n  docker ps\nelse\n  journalctl -n1\nfi\n",
                     "1 systemctl 3 docker 5 journalctl");
        assert_found("x=$(systemctl show x)\n", "1 systemctl");
        assert_found("x=\"a $(systemctl show x | sort) b\"; busctl list\n", "1 systemctl 1 busctl");
        assert_found("x=`journalctl -n 1`\n", "1 journalctl");
        assert_found("echo \"`journalctl`\"\n", "1 journalctl");
        assert_found("a=1 b=$c LC_ALL=C systemctl x\n", "1 systemctl");
        assert_found("x=$(date) systemctl x\n", "1 systemctl");
        assert_found("x=\"y\" systemctl x\n", "1 systemctl");
        assert_found("true && /usr/bin/sudo -n id || exit 1\n", "1 sudo");
        assert_found("while read -r x; do :; done < <(systemctl list-units)\n", "1 systemctl");
        assert_found("( cd /; docker ps )\n", "1 docker");
        assert_found("f() { systemctl x; }\n", "1 systemctl");
        assert_found("a |\n  ping h\nb & ping h\nb 2>&1 | ping h\n", "2 ping 3 ping 4 ping");
        assert_found("a \\\n  ping h\n", "");
        assert_found("\\\nping h\n", "2 ping");
        assert_found("ssi_nagios /usr/lib/nagios/plugins/check_icmp -H h\nssi_unit_active x.service\n",
                     "1 check_icmp 2 ssi_unit_active");
        assert_found("case $x in\n  a | ping) ping h ;;\n  docker) docker ps;;\n  (b) sudo x ;;\nesac\nping h\n",
                     "2 ping 3 docker 4 sudo 6 ping");
        assert_found("x=$(case $y in a) ping h ;; ping) ;; esac; sudo x)\nping h\n", "1 ping 1 sudo 2 ping");
        assert_found("((x = (1 << 3) + 2)); ping h\nfor ((i = 0; i < 3; i++)); do ping h; done\n", "1 ping 2 ping");
        assert_found("x=$((1 << 3)) y=$(( $(nproc) * 2 )); ping h\n", "1 ping");
        assert_found("[[ $x == @(a|b) && ( -n $y || $z ) ]] && ping h\n", "1 ping");
        assert_found("x=${y:-\"a b\"} z=${#a[@]} ; echo $# $$; ping h\n", "1 ping");
        assert_found("echo 'it'\"'\"'s' \"it's\"; ping h\n", "1 ping");
        assert_found("echo ${x:+'}'} \"${x:-it's}\"; ping h\n", "1 ping");
        assert_found("cat <<E >f; ping a\nping b\nE\nping c\n", "1 ping 4 ping");
        assert_found("x=$(cat <<-'E'\n\tping b\n\tE\n)\nping c\n", "5 ping");
        assert_found("cat <<<ping; ping c\n", "1 ping");
        assert_found("x=(a\nping\n\"$(docker ps)\"\n)\nping h\n", "3 docker 5 ping");
}

static void test_not_found(void **state)
{
        static const char *const bodies[] = {
                "# systemctl is-active x\n",
                "echo x # ; systemctl x\n",
                "echo 'x; systemctl x'\n",
                "echo 'x\nsystemctl x\n'\n",
                "echo \"x\nsystemctl x\n\"\n",
                "echo $'it\\'s\nping\n'\n",
                "echo systemctl x\n",
                "ssi_failure \"ping failed\"\n",
                "command -v systemctl >/dev/null || exit 1\n",
                "type -p docker; hash ping; [[ -x /usr/bin/docker ]]; [ -x /bin/ping ]\n",
                "for x in ping docker; do :; done\n",
                "IGNORE=(ping docker\n  sudo\n)\ndeclare -a y=(ping\ndocker)\n",
                "x=ping\ny=systemctl z='a'\n",
                "echo x > docker\n",
                "case $x in ping) ;; sudo|docker) ;; esac\n",
                "case $x in\n  ping | docker ) ;;\n  sudo ) ;;\nesac\n",
                "[[ $x == a || ping == \"$x\" ]]\n",
                "[[ $x =~ (a|ping |docker ) ]]\n",
                "((x && ping))\n(( (x || ping) ))\n",
                "cat <<E\nsystemctl x\nE\n",
                "cat <<'E F'\nsystemctl x\nE F\n",
                "cat <<-\\E\n\tsystemctl x\n\tE\n",
                "cat <<A <<B\nping\nA\nping\nB\n",
                "systemctl() { :; }\nsystemctl x\n",
                "function ping { :; }\nping x\n",
                "x=${y:-ping}\nx=${y:-\nping}\n",
                "$(which x) ping h\n",
                "\"$x\" ping h\n",
                "$x ping h\n",
                "x$(y) ping h\n",
                "systemctl-x y\n",
                "./ping h\n",
                "/opt/x/ping h\n",
                "diff <(a) ping\n",
                "&",
                "\\",
                "$",
                "x=$(",
                "'",
                "<<",
                "",
                ")\nsystemctl x\n", /* it is not understood */
        };

        for (size_t i = 0; i < ELEMENTSOF(bodies); i++)
                assert_found(bodies[i], "");
}

static void test_users(void **state)
{
        static const char all[] = "systemctl x; journalctl; docker ps; ping h; sudo x\n";
        static const struct {
                const char *more, *expected;
        } table[] = {
                { "", "1 systemctl 1 journalctl 1 docker 1 ping 1 sudo" },
                { "# user: ssi-script\n", "1 journalctl 1 docker 1 ping 1 sudo" },
                { "# user: ssi-journal\n", "1 docker 1 ping 1 sudo" },
                { "# user: backup\n", "1 ping 1 sudo" },
                { "# user: root\n", "" },
                { "# sandbox: off\n", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *found = check(table[i].more, all);

                assert_string_equal(found, table[i].expected);
        }
}

/* Too deep, and too many. */
static void test_limits(void **state)
{
        char body[4096] = "";

        for (size_t i = 0; i < 100; i++)
                strcat(body, "$( (");
        strcat(body, "ping h\n");
        assert_found(body, "");
        body[0] = '\0';
        for (size_t i = 0; i < 200; i++)
                strcat(body, "ping h\n");
        free(check("", body));
}

/* So that others come in between. */
static void test_a_large_script_is_not_read_at_once(void **state)
{
        static char text[SCRIPT_SIZE_MAX];
        Metadata *m = NULL;

        for (size_t at = 0; at < sizeof(text); at++)
                text[at] = "a;"[at % 2];
        assert_int_equal(metadata_parse(text, sizeof(text), &m), 0);
        assert_in_range(read_all(m, text, sizeof(text)), 10, 100);
        metadata_free(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_found),
                cmocka_unit_test(test_not_found),
                cmocka_unit_test(test_users),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_a_large_script_is_not_read_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
