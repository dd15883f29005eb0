/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <limits.h>

#include "ctl.h"
#include "text.h"

/* Long enough for a person to type a password. */
#define CALL_TIMEOUT_USEC (6 * 60 * USEC_PER_SEC)

/* Options for certain verbs only. */
typedef enum VerbOptions {
        OPTION_REPLACE = 1 << 0,
        OPTION_RUN = 1 << 1,
        OPTION_NO_WAIT = 1 << 2,
        OPTION_LINES = 1 << 3,
        OPTION_CA = 1 << 4,
        OPTION_PROPERTY = 1 << 5,
        OPTION_VALUE = 1 << 6,
        OPTION_FOLLOW = 1 << 7,
        OPTION_TOKEN_FILE = 1 << 8,
        OPTION_USER = 1 << 16,
        OPTION_LABEL = 1 << 17,
        OPTION_SIGN_UP = 1 << 18,
        OPTION_EXPIRES = 1 << 19,
        OPTION_SINCE = 1 << 20,
        OPTION_UNTIL = 1 << 21,
        OPTION_ACCOUNT = 1 << 22,
        OPTION_EVENT = 1 << 23,
        OPTION_YES = 1 << 24,
        OPTION_PIN = 1 << 25,
        OPTION_DEEP = 1 << 26,
} VerbOptions;

typedef struct Verb {
        const char *name, *alias;
        int min_args, max_args;
        int (*run)(Ctl *c, int argc, char *argv[]);
        unsigned options; /* VerbOptions */
        const char *usage, *help;
        void (*more_help)(void);
} Verb;

static const Verb verbs[] = {
        { "add", "install", 1, INT_MAX, verb_add, OPTION_REPLACE | OPTION_RUN, "FILE…",
          "Install service-scripts (\"-\" is standard input)" },
        { "remove", "uninstall", 1, INT_MAX, verb_remove, 0, "NAME…", "Remove services" },
        { "list", NULL, 0, 0, verb_list, 0, "", "List services, worst first" },
        { "status", NULL, 0, INT_MAX, verb_status, OPTION_LINES, "[NAME…]",
          "Show what needs attention, or the named services" },
        { "show", NULL, 0, INT_MAX, verb_show, OPTION_PROPERTY | OPTION_VALUE, "[NAME…]",
          "Show the properties of services, or of the agent" },
        { "cat", NULL, 1, INT_MAX, verb_cat, 0, "NAME…", "Show installed scripts" },
        { "validate", NULL, 1, INT_MAX, verb_validate, 0, "FILE…", "Check scripts without installing them" },
        { "test", NULL, 1, INT_MAX, verb_test, 0, "FILE…", "Run scripts once without installing them" },
        { "run", NULL, 1, INT_MAX, verb_run, OPTION_NO_WAIT, "NAME…", "Run services now and show the result" },
        { "enable", NULL, 1, INT_MAX, verb_enable, 0, "NAME…", "Start the schedule of services, also after a reboot" },
        { "disable", NULL, 1, INT_MAX, verb_disable, 0, "NAME…", "Stop the schedule of services" },
        { "log", NULL, 1, 1, verb_log, OPTION_LINES | OPTION_FOLLOW, "NAME", "Show what a service printed" },
        { "history", NULL, 1, 1, verb_history, OPTION_LINES, "NAME", "Show the results of a service, newest first" },
        { "watch", NULL, 0, INT_MAX, verb_watch, 0, "[NAME…]", "Show results as they come" },
        { "register", NULL, 1, 2, verb_register, OPTION_CA | OPTION_TOKEN_FILE, "URL [TOKEN]",
          "Register this host with a backend" },
        { "unregister", NULL, 0, 0, verb_unregister, 0, "", "Forget the backend" },
        { "rotate-key", NULL, 0, 0, verb_rotate_key, 0, "", "Replace the key with which this host reports" },
        { "uplink", NULL, 0, 0, verb_uplink, 0, "", "Show the connection to the backend" },
        { "server", NULL, 1, INT_MAX, verb_server,
          OPTION_USER | OPTION_LABEL | OPTION_SIGN_UP | OPTION_EXPIRES | OPTION_LINES | OPTION_SINCE | OPTION_UNTIL |
                  OPTION_ACCOUNT | OPTION_EVENT | OPTION_YES | OPTION_PIN | OPTION_TOKEN_FILE | OPTION_DEEP,
          "COMMAND…", "Administer the backend on this host", verb_server_help },
};

static const struct {
        VerbOptions option;
        const char *name, *usage, *help;
} verb_options[] = {
        { OPTION_REPLACE, "--replace", "     --replace", "replace the service of that name" },
        { OPTION_RUN, "--run", "     --run", "run once after installing" },
        { OPTION_NO_WAIT, "--no-wait", "     --no-wait", "do not wait for the result" },
        { OPTION_LINES, "--lines", "  -n --lines=N", "how many (at most 1000)" },
        { OPTION_FOLLOW, "--follow", "  -f --follow", "also show new output" },
        { OPTION_PROPERTY, "--property", "  -p --property=NAME,…", "only these properties" },
        { OPTION_VALUE, "--value", "     --value", "only the values" },
        { OPTION_CA, "--ca", "     --ca=FILE", "trust the CA certificates in FILE" },
        { OPTION_TOKEN_FILE, "--token-file", "     --token-file=FILE", "the token is in FILE" },
        { OPTION_USER, "--user", "     --user=EMAIL", "the owner of the server" },
        { OPTION_LABEL, "--label", "     --label=LABEL", "give the server a label" },
        { OPTION_SIGN_UP, "--sign-up", "     --sign-up=MODE", "closed, invite or open, at setup" },
        { OPTION_EXPIRES, "--expires", "     --expires=TIME", "how long it is valid (30min, 12h, 2w)" },
        { OPTION_PIN, "--pin", "     --pin=KEY", "join: the key of the first host" },
        { OPTION_SINCE, "--since", "     --since=TIME", "audit: from this time on (date, or 12h ago)" },
        { OPTION_UNTIL, "--until", "     --until=TIME", "audit: before this time" },
        { OPTION_ACCOUNT, "--account", "     --account=ACCOUNT", "audit: of this account, or by \"uid 0\"" },
        { OPTION_YES, "--yes", "  -y --yes", "do not ask whether to remove or restore" },
        { OPTION_EVENT, "--event", "     --event=EVENT", "audit: only these, such as \"login\"" },
        { OPTION_DEEP, "--deep", "     --deep", "check: look into every index (reads all)" },
};

static const char *const common_options = "  -h --help                Show this help, or that of the command\n"
                                          "     --version             Show the version\n"
                                          "  -H --host=[USER@]HOST    Operate on a remote host (through ssh)\n"
                                          "  -M --machine=CONTAINER   Operate on a local container\n"
                                          "     --no-ask-password     Do not ask for authorization\n"
                                          "     --json                Print JSON";

/* Prints the verbs that take the option: "add", "log, history". */
static void print_takers(VerbOptions option)
{
        const char *separator = "";

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (verbs[i].options & option) {
                        printf("%s%s", separator, verbs[i].name);
                        separator = ", ";
                }
}

static int help(void)
{
        puts("ssictl [OPTION…] COMMAND …\n\n"
             "Manage this host's service-scripts and show the health of its services.\n\n"
             "Commands:");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                char left[64];

                snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].usage);
                printf("  ");
                text_put(left, 19);
                printf(" %s\n", verbs[i].help);
        }
        printf("\nOptions:\n%s\n", common_options);
        for (size_t i = 0; i < ELEMENTSOF(verb_options); i++) {
                text_put(verb_options[i].usage, 27);
                print_takers(verb_options[i].option);
                printf(": %s\n", verb_options[i].help);
        }
        puts("\nExit status: 0 success; 1 failure; 2 wrong usage; 3 a status is WARNING or\n"
             "FAILURE, or a run gave none; 4 no such service; 5 not authorized. See ssictl(1).");
        return CTL_EXIT_OK;
}

static int help_verb(const Verb *v)
{
        printf("ssictl [OPTION…] %s%s%s\n\n%s.\n", v->name, isempty(v->usage) ? "" : " ", v->usage, v->help);
        if (v->alias)
                printf("\"%s\" is the same command.\n", v->alias);
        if (v->more_help)
                v->more_help();
        printf("\nOptions:\n");
        for (size_t i = 0; i < ELEMENTSOF(verb_options); i++)
                if (v->options & verb_options[i].option) {
                        text_put(verb_options[i].usage, 27);
                        puts(verb_options[i].help);
                }
        printf("%s\n\nSee ssictl(1).\n", common_options);
        return CTL_EXIT_OK;
}

static const Verb *find_verb(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name) || streq_ptr(verbs[i].alias, name))
                        return verbs + i;
        return NULL;
}

static int parse_lines(Ctl *c, const char *s)
{
        if (parse_unsigned(s, 1000, &c->lines) < 0) {
                ctl_say_error("--lines takes a number from 0 to 1000, not \"%s\".", s);
                return -EINVAL;
        }
        return 0;
}

static int add_string(char ***list, size_t *n, char *s)
{
        char **grown = reallocarray(*list, *n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        *list = grown;
        (*list)[(*n)++] = s;
        return 0;
}

/* What was requested besides the fields of Ctl. */
typedef struct Request {
        unsigned options; /* VerbOptions */
        bool help, version;
} Request;

/* Long options without a short form. */
enum {
        ARG_VERSION = 0x100,
        ARG_NO_ASK_PASSWORD,
        ARG_JSON,
        ARG_REPLACE,
        ARG_RUN,
        ARG_NO_WAIT,
        ARG_CA,
        ARG_TOKEN_FILE,
        ARG_VALUE,
        ARG_USER,
        ARG_LABEL,
        ARG_SIGN_UP,
        ARG_EXPIRES,
        ARG_SINCE,
        ARG_UNTIL,
        ARG_ACCOUNT,
        ARG_EVENT,
        ARG_PIN,
        ARG_DEEP,
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
        { "follow", no_argument, NULL, 'f' },
        { "ca", required_argument, NULL, ARG_CA },
        { "token-file", required_argument, NULL, ARG_TOKEN_FILE },
        { "property", required_argument, NULL, 'p' },
        { "value", no_argument, NULL, ARG_VALUE },
        { "user", required_argument, NULL, ARG_USER },
        { "label", required_argument, NULL, ARG_LABEL },
        { "sign-up", required_argument, NULL, ARG_SIGN_UP },
        { "expires", required_argument, NULL, ARG_EXPIRES },
        { "since", required_argument, NULL, ARG_SINCE },
        { "until", required_argument, NULL, ARG_UNTIL },
        { "account", required_argument, NULL, ARG_ACCOUNT },
        { "event", required_argument, NULL, ARG_EVENT },
        { "yes", no_argument, NULL, 'y' },
        { "pin", required_argument, NULL, ARG_PIN },
        { "deep", no_argument, NULL, ARG_DEEP },
        {},
};

/* Options that take any text. */
static bool take_text(Ctl *c, Request *request, int o)
{
        const struct {
                int arg;
                unsigned option;
                const char **value;
        } texts[] = {
                { ARG_USER, OPTION_USER, &c->user },          { ARG_SINCE, OPTION_SINCE, &c->since },
                { ARG_UNTIL, OPTION_UNTIL, &c->until },       { ARG_ACCOUNT, OPTION_ACCOUNT, &c->account },
                { ARG_EVENT, OPTION_EVENT, &c->event },       { ARG_SIGN_UP, OPTION_SIGN_UP, &c->sign_up },
                { ARG_EXPIRES, OPTION_EXPIRES, &c->expires }, { ARG_PIN, OPTION_PIN, &c->pin },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (texts[i].arg == o) {
                        *texts[i].value = optarg;
                        request->options |= texts[i].option;
                        return true;
                }
        return false;
}

/* Returns -EINVAL if something is wrong, and has printed it then. */
static int parse_argv(Ctl *c, Request *request, int argc, char *argv[])
{
        int o;

        while ((o = getopt_long(argc, argv, "hH:M:n:fp:y", options, NULL)) >= 0)
                switch (o) {
                case 'h':
                        request->help = true;
                        break;
                case ARG_VERSION:
                        request->version = true;
                        break;
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
                        request->options |= OPTION_REPLACE;
                        break;
                case ARG_RUN:
                        c->run = true;
                        request->options |= OPTION_RUN;
                        break;
                case ARG_NO_WAIT:
                        c->no_wait = true;
                        request->options |= OPTION_NO_WAIT;
                        break;
                case 'n':
                        request->options |= OPTION_LINES;
                        if (parse_lines(c, optarg) < 0)
                                return -EINVAL;
                        break;
                case 'f':
                        c->follow = true;
                        request->options |= OPTION_FOLLOW;
                        break;
                case 'y':
                        c->yes = true;
                        request->options |= OPTION_YES;
                        break;
                case ARG_CA:
                        c->ca_file = optarg;
                        request->options |= OPTION_CA;
                        break;
                case ARG_TOKEN_FILE:
                        c->token_file = optarg;
                        request->options |= OPTION_TOKEN_FILE;
                        break;
                case 'p':
                        request->options |= OPTION_PROPERTY;
                        if (add_string(&c->properties, &c->n_properties, optarg) < 0)
                                return -EINVAL;
                        break;
                case ARG_VALUE:
                        c->value = true;
                        request->options |= OPTION_VALUE;
                        break;
                case ARG_DEEP:
                        c->deep = true;
                        request->options |= OPTION_DEEP;
                        break;
                case ARG_LABEL:
                        request->options |= OPTION_LABEL;
                        if (add_string(&c->labels, &c->n_labels, optarg) < 0)
                                return -EINVAL;
                        break;
                default:
                        if (!take_text(c, request, o))
                                return -EINVAL;
                }
        return 0;
}

/* Reports options that cannot be combined. */
static int check_options(const Ctl *c, const Request *request, const Verb *v, const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verb_options); i++)
                if (request->options & verb_options[i].option & ~v->options) {
                        ctl_say_error("\"%s\" does not take %s; see \"ssictl %s --help\".", name, verb_options[i].name,
                                      name);
                        return -EINVAL;
                }
        if (c->host && c->machine) {
                ctl_say_error("--host and --machine cannot be combined.");
                return -EINVAL;
        }
        if (c->value && c->json) {
                ctl_say_error("--value and --json cannot be combined.");
                return -EINVAL;
        }
        return 0;
}

static int dispatch(Ctl *c, const Request *request, int argc, char *argv[])
{
        const char *name = argc > 0 ? argv[0] : "status";
        const Verb *v = find_verb(name);

        if (request->version) {
                puts("ssictl " SSI_VERSION);
                return CTL_EXIT_OK;
        }
        if (!v) {
                ctl_say_error("Unknown command \"%s\"; see \"ssictl --help\".", name);
                return CTL_EXIT_USAGE;
        }
        if (request->help)
                return argc > 0 ? help_verb(v) : help();
        argc = MAX(argc - 1, 0);
        if (argc < v->min_args || argc > v->max_args) {
                ctl_say_error("Usage: ssictl %s%s%s%s", name, isempty(v->usage) ? "" : " ", v->usage,
                              v->more_help ? "\nFor all commands, see \"ssictl server --help\"." : "");
                return CTL_EXIT_USAGE;
        }
        if (check_options(c, request, v, name) < 0)
                return CTL_EXIT_USAGE;
        return abs(v->run(c, argc, argv + 1));
}

int main(int argc, char *argv[])
{
        Ctl c = {
                .ask_password = true,
                .color = isatty(STDOUT_FILENO) && isempty(getenv("NO_COLOR")),
                .lines = UINT_MAX,
                .call_timeout = CALL_TIMEOUT_USEC,
        };
        Request request = {};
        int r;

        text_setup();
        r = parse_argv(&c, &request, argc, argv);
        r = r < 0 ? CTL_EXIT_USAGE : dispatch(&c, &request, argc - optind, argv + optind);
        polkit_agent_close(&c.polkit_agent);
        sd_bus_flush_close_unref(c.bus);
        free(c.properties);
        free(c.labels);
        return r;
}
