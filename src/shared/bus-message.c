/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-message.h"

#define VALUES_MAX 1000U

typedef struct Sum {
        size_t size, max;
        unsigned n;
} Sum;

/* Adds the values from here to the container's end. */
static int add_values(sd_bus_message *m, Sum *sum)
{
        const char *contents, *s;
        char type;
        int r;

        while ((r = sd_bus_message_peek_type(m, &type, &contents)) > 0) {
                sum->n++;
                sum->size += 8;
                if (contents) {
                        r = sd_bus_message_enter_container(m, type, contents);
                        if (r >= 0)
                                r = add_values(m, sum);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                } else if (strchr("sog", type)) {
                        r = sd_bus_message_read_basic(m, type, (void *) &s);
                        if (r >= 0)
                                sum->size += strlen(s);
                } else
                        r = sd_bus_message_skip(m, (char[]){ type, '\0' });
                if (r < 0)
                        return r;
                if (sum->n > VALUES_MAX || sum->size > sum->max)
                        return -EMSGSIZE;
        }
        return r;
}

int bus_message_size(sd_bus_message *m, size_t max, size_t *ret)
{
        Sum sum = { .max = max };
        int r;

        r = sd_bus_message_rewind(m, true);
        if (r >= 0)
                r = add_values(m, &sum);
        if (r >= 0)
                r = sd_bus_message_rewind(m, true);
        if (r < 0)
                return r;
        *ret = sum.size;
        return 0;
}
