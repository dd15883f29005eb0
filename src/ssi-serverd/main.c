/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <signal.h>

#include "api/api.h"
#include "shared/log.h"
#include "manager.h"

static int help(void)
{
        printf("%s [OPTION…]\n\n"
               "Serves the dashboard, the REST API and the agents of Service Status Indicator.\n\n"
               "  -h --help              Show this help\n"
               "     --version           Show the version\n"
               "     --listen=ADDRESS    Listen on ADDRESS:PORT or /PATH, besides the inherited sockets;\n"
               "                         with TLS if other machines can reach it. May be repeated\n"
               "     --tls-dir=DIR       Keep the private CA and the certificate in DIR\n"
               "     --ca-helper         Leave the private CA's key to ssi-server-ca(8)\n"
               "     --key-dir=DIR       Keep the private key for access tokens in DIR\n"
               "     --web-dir=DIR       Read the dashboard's files from DIR\n"
               "     --check-config[=FILE]\n"
               "                         Check the settings in FILE, print problems, and exit\n"
               "                         (default: " SSI_SERVERD_CONF ")\n"
               "     --list-routes       List the routes of the REST API and who may use them\n"
               "     --role=ROLE         Serve only agents (ingest), only the rest (api), or all\n"
               "     --debug             Log debug messages\n\n"
               "Settings are environment variables, set in " SSI_SERVERD_CONF ". See ssi-serverd(8).\n",
               program_invocation_short_name);
        return 0;
}

static int parse_role(const char *s, BackendRole *ret)
{
        static const char *const names[] = {
                [BACKEND_ROLE_INGEST] = "ingest",
                [BACKEND_ROLE_API] = "api",
                [BACKEND_ROLE_ALL] = "all",
        };

        for (size_t i = BACKEND_ROLE_INGEST; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i])) {
                        *ret = (BackendRole) i;
                        return 0;
                }
        return -EINVAL;
}

/* given: the caller's argument, or NULL. */
static int check_config(const char *given)
{
        const char *path = given ?: SSI_SERVERD_CONF;
        int n;

        if (!given && access(path, F_OK) < 0 && errno == ENOENT) {
                printf("%s does not exist: all settings have their defaults.\n", path);
                return 0;
        }
        n = access(path, R_OK) < 0 ? -errno : config_check(path);
        if (n < 0) {
                fprintf(stderr, "Cannot read %s: %s\n", path, strerror(-n));
                return n;
        }
        if (n == 0)
                printf("%s: no problems found.\n", path);
        return n > 0 ? -EINVAL : 0;
}

static int parse_argv(int argc, char *argv[], ManagerConfig *config)
{
        enum {
                ARG_VERSION = 0x100,
                ARG_LISTEN,
                ARG_TLS_DIR,
                ARG_CA_HELPER,
                ARG_KEY_DIR,
                ARG_WEB_DIR,
                ARG_CHECK_CONFIG,
                ARG_LIST_ROUTES,
                ARG_ROLE,
                ARG_DEBUG,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "listen", required_argument, NULL, ARG_LISTEN },
                { "tls-dir", required_argument, NULL, ARG_TLS_DIR },
                { "ca-helper", no_argument, NULL, ARG_CA_HELPER },
                { "key-dir", required_argument, NULL, ARG_KEY_DIR },
                { "web-dir", required_argument, NULL, ARG_WEB_DIR },
                { "check-config", optional_argument, NULL, ARG_CHECK_CONFIG },
                { "list-routes", no_argument, NULL, ARG_LIST_ROUTES },
                { "role", required_argument, NULL, ARG_ROLE },
                { "debug", no_argument, NULL, ARG_DEBUG },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        return help();
                case ARG_VERSION:
                        puts("ssi-serverd " SSI_VERSION);
                        return 0;
                case ARG_LISTEN:
                        if (config->n_listen >= LISTEN_MAX) {
                                log_error("Too many addresses: at most %d are possible.", LISTEN_MAX);
                                return -E2BIG;
                        }
                        config->listen[config->n_listen++] = optarg;
                        break;
                case ARG_TLS_DIR:
                        config->tls_dir = optarg;
                        break;
                case ARG_CA_HELPER:
                        config->ca_helper = true;
                        break;
                case ARG_KEY_DIR:
                        config->key_dir = optarg;
                        break;
                case ARG_WEB_DIR:
                        config->web_dir = optarg;
                        break;
                case ARG_CHECK_CONFIG:
                        return check_config(optarg ?: optind < argc ? argv[optind] : NULL);
                case ARG_LIST_ROUTES:
                        api_list_routes(stdout);
                        return 0;
                case ARG_ROLE:
                        if (parse_role(optarg, &config->role) < 0) {
                                log_error("Unknown role \"%s\": use ingest, api or all.", optarg);
                                return -EINVAL;
                        }
                        break;
                case ARG_DEBUG:
                        config->debug = true;
                        log_set_max_level(LOG_DEBUG);
                        break;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                log_error("ssi-serverd takes no arguments; see \"ssi-serverd --help\".");
                return -EINVAL;
        }
        return 1;
}

static int run(const ManagerConfig *config)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        sigset_t mask;
        int r;

        /* Before any thread starts: threads inherit the mask. */
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        sigaddset(&mask, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return log_error_errno(errno, "Cannot block signals");
        (void) signal(SIGPIPE, SIG_IGN);
        r = manager_new(config, &m);
        if (r < 0)
                return r;
        r = sd_event_loop(m->event);
        return r < 0 ? log_error_errno(r, "The event loop failed") : r;
}

int main(int argc, char *argv[])
{
        ManagerConfig config = {
                .web_dir = SSI_WEB_DIR,
                .tls_dir = SSI_SERVER_TLS_DIR,
                .key_dir = SSI_SERVER_KEY_DIR,
                .role = BACKEND_ROLE_ALL,
        };
        int r;

        log_setup();
        r = parse_argv(argc, argv, &config);
        if (r > 0)
                r = run(&config);
        return r < 0 ? EXIT_FAILURE : r;
}
