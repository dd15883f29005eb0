/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/epoll.h>
#include <utlist.h>

#include "loop/curl-loop.h"

typedef struct Transfer {
        CURL *easy;
        void (*done)(CURL *easy, CURLcode code, void *userdata);
        void *userdata;
        struct Transfer *prev, *next;
} Transfer;

struct CurlLoop {
        sd_event *event;
        CURLM *multi;
        sd_event_source *timer;
        Transfer *transfers;
};

static void transfer_end(CurlLoop *l, Transfer *t, CURLcode code)
{
        DL_DELETE(l->transfers, t);
        (void) curl_multi_remove_handle(l->multi, t->easy);
        t->done(t->easy, code, t->userdata);
        free(t);
}

static void collect(CurlLoop *l)
{
        CURLMsg *m;
        int left;

        while ((m = curl_multi_info_read(l->multi, &left))) {
                CURLcode code = m->data.result; /* the message goes with the handle */
                Transfer *t;

                if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK)
                        transfer_end(l, t, code);
        }
}

static void act(CurlLoop *l, curl_socket_t fd, int mask)
{
        int running;

        (void) curl_multi_socket_action(l->multi, fd, mask, &running);
        collect(l);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        int mask = 0;

        if (revents & EPOLLIN)
                mask |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                mask |= CURL_CSELECT_OUT;
        if (revents & (EPOLLERR | EPOLLHUP))
                mask |= CURL_CSELECT_ERR;
        act(userdata, fd, mask);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        act(userdata, CURL_SOCKET_TIMEOUT, 0);
        return 0;
}

/* libcurl says what to wait for, and cancels a watch before it closes the descriptor. */
static int on_watch(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
        uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
        sd_event_source *source = socket_data;
        CurlLoop *l = userdata;

        if (what == CURL_POLL_REMOVE) {
                sd_event_source_disable_unref(source);
                (void) curl_multi_assign(l->multi, fd, NULL);
                return 0;
        }
        if (source)
                return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
        if (sd_event_add_io(l->event, &source, fd, events, on_io, l) < 0)
                return -1;
        (void) curl_multi_assign(l->multi, fd, source);
        return 0;
}

static int on_arm(CURLM *multi, long timeout_ms, void *userdata)
{
        CurlLoop *l = userdata;

        if (timeout_ms < 0)
                return sd_event_source_set_enabled(l->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        if (sd_event_source_set_time_relative(l->timer, (uint64_t) timeout_ms * USEC_PER_MSEC) < 0 ||
            sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT) < 0)
                return -1;
        return 0;
}

int curl_loop_new(sd_event *event, CurlLoop **ret)
{
        _cleanup_(curl_loop_freep) CurlLoop *l = NULL;
        int r;

        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -EIO;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->event = sd_event_ref(event);
        r = sd_event_add_time_relative(event, &l->timer, CLOCK_MONOTONIC, 0, 1, on_timer, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        l->multi = curl_multi_init();
        if (!l->multi)
                return -ENOMEM;
        if (curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_watch) != CURLM_OK ||
            curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l) != CURLM_OK ||
            curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_arm) != CURLM_OK ||
            curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l) != CURLM_OK)
                return -EIO;
        *ret = TAKE_PTR(l);
        return 0;
}

CurlLoop *curl_loop_free(CurlLoop *l)
{
        Transfer *t, *tmp;

        if (!l)
                return NULL;
        DL_FOREACH_SAFE(l->transfers, t, tmp)
                transfer_end(l, t, CURLE_ABORTED_BY_CALLBACK);
        if (l->multi)
                (void) curl_multi_cleanup(l->multi);
        sd_event_source_disable_unref(l->timer);
        sd_event_unref(l->event);
        free(l);
        return NULL;
}

int curl_loop_add(CurlLoop *l, CURL *easy, void (*done)(CURL *easy, CURLcode code, void *userdata), void *userdata)
{
        Transfer *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        *t = (Transfer){ .easy = easy, .done = done, .userdata = userdata };
        /* Without QUICK_EXIT, ending a transfer waits for the thread that still resolves its name. */
        if (curl_easy_setopt(easy, CURLOPT_PRIVATE, t) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) != CURLE_OK ||
            curl_multi_add_handle(l->multi, easy) != CURLM_OK) {
                free(t);
                return -EIO;
        }
        DL_APPEND(l->transfers, t);
        return 0;
}
