#include <getopt.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "log.h"
#include "manager.h"

static int help(void)
{
        printf("%s [OPTION…]\n\n"
               "Reports the results of this host to a backend: org.ssi.Uplink1 on the system bus.\n\n"
               "  -h --help     Show this help\n"
               "     --version  Show the version\n"
               "     --debug    Log more\n\n"
               "See ssi-uplinkd(8) and ssictl(1).\n",
               program_invocation_short_name);
        return 0;
}

static int parse_argv(int argc, char *argv[])
{
        enum {
                ARG_VERSION = 0x100,
                ARG_DEBUG,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "debug", no_argument, NULL, ARG_DEBUG },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        return help();
                case ARG_VERSION:
                        puts("ssi-uplinkd " SSI_VERSION);
                        return 0;
                case ARG_DEBUG:
                        log_set_max_level(LOG_DEBUG);
                        break;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                log_error("ssi-uplinkd takes no arguments; see \"ssi-uplinkd --help\".");
                return -EINVAL;
        }
        return 1;
}

static int run(void)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return log_error_errno(errno, "Cannot block signals");
        r = manager_new(&m);
        if (r < 0)
                return log_error_errno(r, "Cannot set up");
        r = manager_start(m);
        if (r < 0)
                return r;
        r = sd_event_loop(m->event);
        (void) sd_notify(false, "STOPPING=1");
        return r < 0 ? log_error_errno(r, "The event loop failed") : r;
}

int main(int argc, char *argv[])
{
        int r;

        log_setup();
        r = parse_argv(argc, argv);
        if (r > 0)
                r = run();
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
