/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/change-set.h"

int change_set_add(ChangeSet *s, const Change *change)
{
        _cleanup_free_ char *key = NULL;
        WaitingChange *w;
        int r;

        if (asprintf(&key, "%c %s %s %s", change->kind, change->user, change->server, strempty(change->arg)) < 0) {
                key = NULL;
                return -ENOMEM;
        }
        HASH_FIND_STR(s->items, key, w);
        if (w)
                return 0;
        r = changes_add(&s->changes, change->kind, change->user, change->server, change->arg);
        if (r < 0)
                return r;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->change = s->changes.items[s->changes.n - 1];
        w->key = TAKE_PTR(key);
        HASH_ADD_KEYPTR(hh, s->items, w->key, strlen(w->key), w);
        return 0;
}

void change_set_clear(ChangeSet *s)
{
        WaitingChange *w, *tmp;

        HASH_ITER(hh, s->items, w, tmp) {
                HASH_DEL(s->items, w);
                free(w->key);
                free(w);
        }
        changes_clear(&s->changes);
}
