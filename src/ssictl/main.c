#include <getopt.h>
#include <limits.h>

#include "ctl.h"

typedef struct Verb {
        const char *name, *alias;
        int min_args, max_args;
        int (*run)(Ctl *c, int argc, char *argv[]);
        const char *usage, *help;
} Verb;

static const Verb verbs[] = {
        { "add", "install", 1, INT_MAX, verb_add, "FILE…", "Install service-scripts (\"-\" is standard input)" },
        { "remove", "uninstall", 1, INT_MAX, verb_remove, "NAME…", "Remove services" },
        { "list", NULL, 0, 0, verb_list, "", "List services, worst first" },
        { "status", NULL, 0, INT_MAX, verb_status, "[NAME…]", "Show what needs attention, or the named services" },
        { "enable", NULL, 1, INT_MAX, verb_enable, "NAME…", "Start the schedule of services, also after a reboot" },
        { "disable", NULL, 1, INT_MAX, verb_disable, "NAME…", "Stop the schedule of services" },
        { "cat", NULL, 1, INT_MAX, verb_cat, "NAME…", "Show installed scripts" },
        { "validate", NULL, 1, INT_MAX, verb_validate, "FILE…", "Check scripts without installing them" },
        { "run", NULL, 1, INT_MAX, verb_run, "NAME…", "Run services now and show the result" },
        { "log", NULL, 1, 1, verb_log, "NAME", "Show what a service printed" },
        { "register", NULL, 2, 2, verb_register, "URL TOKEN", "Register this host with a backend (\"-\": token on stdin)" },
        { "unregister", NULL, 0, 0, verb_unregister, "", "Forget the backend" },
        { "uplink", NULL, 0, 0, verb_uplink, "", "Show the connection to the backend" },
};

static int help(void)
{
        puts("ssictl [OPTION…] COMMAND …\n\n"
             "Manage the service-scripts of this host, and see how its services are.\n\n"
             "Commands:");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                char left[64];

                snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].usage);
                printf("  %-24s %s\n", left, verbs[i].help);
        }
        puts("\nOptions:\n"
             "  -h --help                Show this help\n"
             "     --version             Show the version\n"
             "  -H --host=[USER@]HOST    Operate on a remote host (through ssh)\n"
             "  -M --machine=CONTAINER   Operate on a local container\n"
             "     --no-ask-password     Do not ask for authorization\n"
             "     --json                list, status, run, uplink: print JSON\n"
             "     --replace             add: replace a service of the same name\n"
             "     --run                 add: run once after installing\n"
             "     --no-wait             run: do not wait for the result\n"
             "  -n --lines=N             log: how many lines (default 20, at most 1000)\n"
             "     --ca=FILE             register: trust the CA certificates in FILE\n\n"
             "Exit status: 0 well; 1 failed; 2 wrong usage; 3 a status is WARNING or FAILURE, or\n"
             "a run could not tell one; 4 no such service; 5 not authorized.");
        return 0;
}

static const Verb *find_verb(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name) || streq_ptr(verbs[i].alias, name))
                        return verbs + i;
        return NULL;
}

/* Returns 1 to go on, 0 when all is done, negative on wrong usage. */
static int parse_argv(Ctl *c, int argc, char *argv[])
{
        enum {
                ARG_VERSION = 0x100,
                ARG_NO_ASK_PASSWORD,
                ARG_JSON,
                ARG_REPLACE,
                ARG_RUN,
                ARG_NO_WAIT,
                ARG_CA,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "host", required_argument, NULL, 'H' },
                { "machine", required_argument, NULL, 'M' },
                { "no-ask-password", no_argument, NULL, ARG_NO_ASK_PASSWORD },
                { "json", no_argument, NULL, ARG_JSON },
                { "replace", no_argument, NULL, ARG_REPLACE },
                { "run", no_argument, NULL, ARG_RUN },
                { "no-wait", no_argument, NULL, ARG_NO_WAIT },
                { "lines", required_argument, NULL, 'n' },
                { "ca", required_argument, NULL, ARG_CA },
                {},
        };
        char *end;
        int o;

        while ((o = getopt_long(argc, argv, "hH:M:n:", options, NULL)) >= 0)
                switch (o) {
                case 'h':
                        return help();
                case ARG_VERSION:
                        puts("ssictl " SSI_VERSION);
                        return 0;
                case 'H':
                        c->host = optarg;
                        break;
                case 'M':
                        c->machine = optarg;
                        break;
                case ARG_NO_ASK_PASSWORD:
                        c->ask_password = false;
                        break;
                case ARG_JSON:
                        c->json = true;
                        break;
                case ARG_REPLACE:
                        c->replace = true;
                        break;
                case ARG_RUN:
                        c->run = true;
                        break;
                case ARG_NO_WAIT:
                        c->no_wait = true;
                        break;
                case 'n':
                        c->lines = (unsigned) strtoul(optarg, &end, 10);
                        if (*end != '\0' || c->lines == 0 || c->lines > 1000) {
                                ctl_say_error("--lines takes a number from 1 to 1000, not \"%s\".", optarg);
                                return -EINVAL;
                        }
                        break;
                case ARG_CA:
                        c->ca_file = optarg;
                        break;
                default:
                        return -EINVAL;
                }
        return 1;
}

static int dispatch(Ctl *c, int argc, char *argv[])
{
        const char *name = argc > 0 ? argv[0] : "status";
        const Verb *v = find_verb(name);

        if (!v) {
                ctl_say_error("Unknown command \"%s\"; see \"ssictl --help\".", name);
                return CTL_EXIT_USAGE;
        }
        argc = MAX(argc - 1, 0);
        if (argc < v->min_args || argc > v->max_args) {
                ctl_say_error("Usage: ssictl %s %s", v->name, v->usage);
                return CTL_EXIT_USAGE;
        }
        return abs(v->run(c, argc, argv + 1));
}

int main(int argc, char *argv[])
{
        Ctl c = {
                .ask_password = true,
                .color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
                .lines = 20,
        };
        int r;

        r = parse_argv(&c, argc, argv);
        if (r <= 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = dispatch(&c, argc - optind, argv + optind);
        sd_bus_flush_close_unref(c.bus);
        return r;
}
