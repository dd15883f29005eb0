/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "shared/daemon-main.h"
#include "shared/log.h"

/* By then, the daemon has started, connected and read the existing data. */
#define SETTLED_USEC (10 * USEC_PER_SEC)

static int help(const DaemonInfo *d)
{
        printf("%s [OPTION…]\n\n"
               "%s\n\n"
               "  -h --help     Show this help\n"
               "     --version  Show the version\n"
               "     --debug    Log more\n\n"
               "See %s.\n",
               d->name, d->about, d->see_also);
        return 0;
}

/* 1: go on; 0: done. */
static int parse_argv(int argc, char *argv[], const DaemonInfo *d)
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
                        return help(d);
                case ARG_VERSION:
                        printf("%s " SSI_VERSION "\n", d->name);
                        return 0;
                case ARG_DEBUG:
                        log_set_max_level(LOG_DEBUG);
                        break;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                log_error("%s takes no arguments; see \"%s --help\".", d->name, d->name);
                return -EINVAL;
        }
        return 1;
}

/* Freed memory from the start lies between memory that is still in use. */
static int on_settled(sd_event_source *s, uint64_t usec, void *userdata)
{
        (void) malloc_trim(0);
        return 0;
}

static int run(const DaemonInfo *d)
{
        sd_event *event;
        sigset_t mask;
        void *manager;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        if (d->has_children)
                sigaddset(&mask, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return log_error_errno(errno, "Cannot block signals");
        r = d->start(&manager, &event);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, SETTLED_USEC, SETTLED_USEC, on_settled, NULL);
        if (r >= 0)
                r = sd_event_loop(event);
        (void) sd_notify(false, "STOPPING=1");
        d->stop(manager);
        return r < 0 ? log_error_errno(r, "The event loop failed") : r;
}

int daemon_event_new(sd_event **ret)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        int r;

        r = sd_event_default(&event);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_set_watchdog(event, true);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(event);
        return 0;
}

int daemon_main(int argc, char *argv[], const DaemonInfo *d)
{
        int r;

        log_setup();
        r = parse_argv(argc, argv, d);
        if (r > 0)
                r = run(d);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
