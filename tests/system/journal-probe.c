/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* journal-probe [ENTRIES [CURSOR]]: prints every run that the journal tells of, or those after the cursor, reading it as the daemons do, but
 * opening it anew after so many entries. */
#include <stdio.h>
#include <stdlib.h>

#include "shared/journal/follow-internal.h"

static bool is_installed(const char *slug, void *userdata)
{
        return true;
}

static int on_event(RunEvent *e, void *userdata)
{
        printf("%s %s %s\n", e->slug, e->cursor, strempty(e->message));
        return 0;
}

static void on_caught_up(void *userdata)
{
        (void) sd_event_exit(userdata, 0);
}

static void on_failed(int error, void *userdata)
{
        (void) sd_event_exit(userdata, error);
}

int main(int argc, char **argv)
{
        static const JournalFollowOps ops = {
                .is_installed = is_installed,
                .event = on_event,
                .caught_up = on_caught_up,
                .failed = on_failed,
        };
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(journal_follow_freep) JournalFollow *f = NULL;
        int r;

        r = sd_event_new(&event);
        if (r >= 0)
                r = journal_follow_new(event, &ops, event, &f);
        if (r < 0)
                return EXIT_FAILURE;
        if (argc > 1)
                f->entries_per_opening = (unsigned) atoi(argv[1]);
        r = journal_follow_start(f, argc > 2 ? argv[2] : NULL, 0);
        if (r >= 0)
                r = sd_event_loop(event);
        if (r < 0)
                fprintf(stderr, "%s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
