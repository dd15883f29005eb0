/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <uthash.h>

#include "auth/key-ring.h"
#include "shared/log.h"
#include "core/backend.h"
#include "shared/network.h"
#include "auth/key-ring.sql.h"

#define REFRESH_USEC  (600 * USEC_PER_SEC)
#define READ_MIN_USEC USEC_PER_SEC /* between two reads for unknown keys */
#define WAITING_MAX   128
#define NETWORK_SHARE 24 /* of the waiting */

typedef struct PublicKey {
        char id[ACCESS_KEY_ID_LENGTH + 1];
        char *pem;
        UT_hash_handle hh;
} PublicKey;

typedef struct Waiting {
        char network[NETWORK_MAX];
        void (*callback)(int error, void *userdata);
        void *userdata;
} Waiting;

struct KeyRing {
        Backend *backend;
        const AccessKey *own;
        PublicKey *keys;
        bool published;
        bool reading;
        bool again;         /* a waiter came after the read had begun */
        uint64_t read_usec; /* CLOCK_MONOTONIC, start of the last read */
        sd_event_source *refresh_timer, *read_timer;
        Waiting waiting[WAITING_MAX];
        size_t n_waiting;
        void (*done)(void *userdata);
        void *done_userdata;
};

static void ring_read(KeyRing *ring);

static void keys_clear(KeyRing *ring)
{
        PublicKey *k, *tmp;

        HASH_ITER(hh, ring->keys, k, tmp) {
                HASH_DEL(ring->keys, k);
                free(k->pem);
                free(k);
        }
}

static int keys_add(KeyRing *ring, const char *id, const char *pem)
{
        PublicKey *k;

        if (strlen(id) != ACCESS_KEY_ID_LENGTH)
                return 0;
        k = calloc(1, sizeof(*k));
        if (!k)
                return -ENOMEM;
        strcpy(k->id, id);
        k->pem = strdup(pem);
        if (!k->pem) {
                free(k);
                return -ENOMEM;
        }
        HASH_ADD_STR(ring->keys, id, k);
        return 0;
}

static void wake_all(KeyRing *ring, int error)
{
        Waiting waiting[WAITING_MAX];
        size_t n = ring->n_waiting;

        memcpy(waiting, ring->waiting, n * sizeof(*waiting));
        ring->n_waiting = 0;
        for (size_t i = 0; i < n; i++)
                waiting[i].callback(error, waiting[i].userdata);
}

static void on_read(PGresult *res, int error, void *userdata)
{
        KeyRing *ring = userdata;

        ring->reading = false;
        if (error == 0) {
                keys_clear(ring);
                for (int i = 0; i < PQntuples(res); i++)
                        if (keys_add(ring, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1)) < 0)
                                break;
        }
        if (error == 0 && ring->again) {
                ring->again = false;
                ring_read(ring);
        } else {
                ring->again = false;
                wake_all(ring, error);
        }
}

static void ring_read_now(KeyRing *ring)
{
        int r;

        r = backend_query(ring->backend, SQL(ring_read_now), on_read, ring);
        if (r < 0) {
                wake_all(ring, r);
                return;
        }
        ring->reading = true;
        (void) sd_event_now(ring->backend->event, CLOCK_MONOTONIC, &ring->read_usec);
}

static int on_read_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        KeyRing *ring = userdata;

        if (!ring->reading)
                ring_read_now(ring);
        return 0;
}

/* Reads at once, or up to a second after the last read, so that made-up key ids cause at most one read per
 * second. */
static void ring_read(KeyRing *ring)
{
        if (sd_event_source_set_time(ring->read_timer, ring->read_usec + READ_MIN_USEC) < 0 ||
            sd_event_source_set_enabled(ring->read_timer, SD_EVENT_ONESHOT) < 0)
                ring_read_now(ring);
}

static void on_published(PGresult *res, int error, void *userdata)
{
        KeyRing *ring = userdata;

        if (error < 0) {
                if (error != -ECANCELED)
                        log_warning("Cannot publish the key of the access tokens, trying again: %s",
                                    db_result_message(res));
                return; /* the timer, or the pool when it reconnects, tries again */
        }
        ring->published = true;
        if (!ring->reading)
                ring_read_now(ring);
        if (ring->done)
                ring->done(ring->done_userdata);
}

void key_ring_refresh(KeyRing *ring)
{
        (void) backend_query(ring->backend,
                             SQL(key_ring_refresh, .id = ring->own->id, .public_pem = ring->own->public_pem,
                                 .host = ring->backend->host),
                             on_published, ring);
}

static int on_refresh_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        key_ring_refresh(userdata);
        (void) sd_event_source_set_time_relative(source, REFRESH_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void key_ring_set_callback(KeyRing *ring, void (*done)(void *userdata), void *userdata)
{
        ring->done = done;
        ring->done_userdata = userdata;
}

bool key_ring_is_ready(KeyRing *ring)
{
        return ring->published;
}

int key_ring_sign(KeyRing *ring, const char *user, const char *session, uint64_t now, char **ret)
{
        return access_token_new(ring->own->id, ring->own->private_pem, user, session, now, ret);
}

int key_ring_check(KeyRing *ring, const char *token, bool last, uint64_t now, AccessToken *ret)
{
        _cleanup_free_ char *id = NULL;
        PublicKey *k;
        int r;

        r = access_token_key_id(token, &id);
        if (r < 0)
                return r;
        if (streq(id, ring->own->id))
                return access_token_check(ring->own->public_pem, token, now, ret);
        if (strlen(id) != ACCESS_KEY_ID_LENGTH)
                return -EACCES;
        HASH_FIND_STR(ring->keys, id, k);
        if (!k)
                return last ? -EACCES : -EAGAIN;
        return access_token_check(k->pem, token, now, ret);
}

int key_ring_wait(KeyRing *ring, const char *network, void (*callback)(int error, void *userdata), void *userdata)
{
        unsigned n = 0;
        Waiting *w;

        for (size_t i = 0; i < ring->n_waiting; i++)
                n += streq(ring->waiting[i].network, network);
        if (ring->n_waiting >= WAITING_MAX || n >= NETWORK_SHARE)
                return -EBUSY;
        w = &ring->waiting[ring->n_waiting++];
        *w = (Waiting){ .callback = callback, .userdata = userdata };
        snprintf(w->network, sizeof(w->network), "%s", network);
        if (ring->reading)
                ring->again = true;
        else
                ring_read(ring);
        return 0;
}

int key_ring_new(Backend *backend, const AccessKey *key, KeyRing **ret)
{
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        int r;

        ring = calloc(1, sizeof(*ring));
        if (!ring)
                return -ENOMEM;
        ring->backend = backend;
        ring->own = key;
        r = sd_event_add_time_relative(backend->event, &ring->refresh_timer, CLOCK_MONOTONIC, REFRESH_USEC,
                                       USEC_PER_SEC, on_refresh_timer, ring);
        if (r < 0)
                return r;
        r = sd_event_add_time(backend->event, &ring->read_timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_read_timer,
                              ring);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(ring->read_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(ring);
        return 0;
}

KeyRing *key_ring_free(KeyRing *ring)
{
        if (!ring)
                return NULL;
        wake_all(ring, -ECANCELED);
        sd_event_source_disable_unref(ring->refresh_timer);
        sd_event_source_disable_unref(ring->read_timer);
        keys_clear(ring);
        free(ring);
        return NULL;
}
