// SPDX-License-Identifier: Apache-2.0
// A request that is passed on: what was read from the client goes to the upstream, what that answers goes back.
//
//   CONNECT ──► SEND (head, body as it comes) ──► AWAIT ──► ANSWER (body as it comes) ──► gone
//      └── retried on another connection while nothing was sent, or a kept one was dead ──┘
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/hop.h"
#include "lib/http/uplink.h"

#define TRIES 3

struct forward {
    struct http_request *request;
    struct http_worker *worker;
    struct http_upstream *upstream;
    struct http_uplink *link; // NULL: none at the moment
    const struct http_forward_watcher *watcher;
    void *arg;
    struct http_buffer out; // head of the request, or what ends its chunks; sent up to `out_sent`
    size_t out_sent;
    size_t piece_sent; // of the piece of the body that is offered again
    int64_t sent;      // bytes on this connection
    unsigned tries;
    bool may_repeat, chunked;
    bool has_body;   // and the sink is not open yet: before there is a connection, nothing is read
    bool takes_body; // the sink is open
    bool stalled;    // the sink waits for the upstream
    bool answering;  // the source is open
    bool waits;      // the source waits for the upstream
    bool early;      // the answer came before the body was sent
    int failed;      // told when the sink ends
};

// ---- the end ---------------------------------------------------------------------------------------------------------

static void forward_free(struct forward *f) {
    if (f->link)
        http_uplink_close(f->link);
    f->request->left = NULL;
    if (f->watcher)
        f->watcher->ended(f->arg);
    http_buffer_done(&f->out);
    free(f);
}

static void reply_unsent(struct forward *f, int r) {
    const struct http_upstream_options *to = &f->upstream->options;
    const char *why = r == -ENODATA ? "its name is not known yet" : err_name(r);
    if (http_reply_header(f->request, "Retry-After", "1") == 0)
        http_reply_status(f->request, 503, "store_unreachable", "%s cannot be reached (%s); nothing was sent. %s",
                          to->name, why, to->remedy);
    else
        http_reply_empty(f->request, 503);
}

static void reply_lost(struct forward *f, int r) {
    const char *name = f->upstream->options.name;
    if (r == -ETIMEDOUT)
        http_reply_status(f->request, 504, "no_answer", "%s did not answer in %u seconds%s", name,
                          f->upstream->options.answer_s,
                          f->may_repeat ? "" : "; whether the request was carried out is not known: look first");
    else if (r == -EBADMSG)
        http_reply_status(f->request, 502, "bad_answer", "what %s answered is no HTTP; is it the right URL?", name);
    else if (f->may_repeat && http_reply_header(f->request, "Retry-After", "1") == 0)
        http_reply_status(f->request, 503, "answer_lost", "the connection to %s ended before its answer; ask again",
                          name);
    else
        http_reply_status(f->request, 502, "answer_lost",
                          "the connection to %s ended before its answer: whether the request was carried out is not "
                          "known; look before you repeat it",
                          name);
}

// Answers for the upstream, at once or when the sink ends, and is gone then.
static void give_up(struct forward *f, int r) {
    if (f->link)
        http_uplink_close(take_ptr(f->link));
    if (f->takes_body) {
        f->failed = r;
        if (f->stalled) {
            f->stalled = false;
            http_request_resume(f->request);
        }
        return;
    }
    if (f->sent)
        reply_lost(f, r);
    else
        reply_unsent(f, r);
    forward_free(f);
}

// ---- the answer --------------------------------------------------------------------------------------------------------

static int64_t read_answer(void *arg, void *buf, size_t len) {
    struct forward *f = arg;
    ssize_t n = http_uplink_body(f->link, buf, len);
    f->waits = n == -EAGAIN;
    http_uplink_expect(f->link, f->waits ? f->upstream->options.answer_s : 0);
    return n;
}

static void close_answer(void *arg) {
    struct forward *f = arg;
    http_uplink_release(take_ptr(f->link));
    forward_free(f);
}

static void pass_answer(struct forward *f, const struct http_head *head, unsigned status) {
    static const struct http_source source = {read_answer, close_answer};
    struct http_request *request = f->request;
    const char *type = http_head_field(head, "Content-Type");
    bool has_length = head->content_length >= 0 && !head->chunked, asks_head = request->head.method == HTTP_HEAD;
    size_t len = 0;
    if (http_hop_answer(request, head) < 0) {
        request->reply.head.len = 0;
        give_up(f, -ENOMEM);
        return;
    }
    const char *whole = asks_head ? NULL : http_uplink_whole(f->link, &len);
    if (f->watcher)
        f->watcher->answered(f->arg, status, head, whole, len);
    http_uplink_expect(f->link, 0);
    f->link->spoiled = f->link->spoiled || f->out_sent < f->out.len;
    if (!whole) {
        f->answering = true;
        request->left = NULL; // the source is told by its close
        http_reply_source_sized(request, status, type, has_length ? head->content_length : -1, &source, f);
        return;
    }
    http_reply(request, status, type, whole, len);
    http_uplink_release(take_ptr(f->link));
    forward_free(f);
}

static bool may_try_again(const struct forward *f, int r) {
    bool heard = f->link && http_uplink_heard(f->link), kept = f->link && f->link->was_kept;
    if (f->tries >= TRIES || heard || r == -ETIMEDOUT || r == -ESHUTDOWN || r == -ENOMEM)
        return false;
    return f->sent == 0 || (kept && f->may_repeat);
}

static void start(struct forward *f, bool fresh);

static void lose(struct forward *f, int r) {
    if (!may_try_again(f, r)) {
        give_up(f, r);
        return;
    }
    bool kept = f->link && f->link->was_kept;
    if (!kept) { // another of its addresses
        atomic_fetch_add(&f->upstream->turn, 1);
        atomic_store(&f->upstream->missed, true);
    }
    if (f->link)
        http_uplink_close(take_ptr(f->link));
    f->out_sent = f->piece_sent = 0;
    f->sent = 0;
    start(f, true);
}

static void look_for_answer(struct forward *f) {
    struct http_head head;
    unsigned status;
    int r = http_uplink_head(f->link, f->request->head.method, &head, &status);
    if (r < 0)
        lose(f, r);
    else if (r > 0)
        pass_answer(f, &head, status);
}

static int take_piece(void *arg, const void *data, size_t len, struct err *err);
static void body_ended(void *arg, struct http_request *request, int rc);
static const struct http_sink sink = {take_piece, body_ended};

// ---- the request ---------------------------------------------------------------------------------------------------------

// Sends what is left of `out`, then the piece. 1: all of both, 0: blocked, -errno.
static int send_on(struct forward *f, const char *data, size_t len) {
    char size[24] = "";
    int size_len = f->chunked && len ? snprintf(size, sizeof size, "%zx\r\n", len) : 0;
    struct iovec piece[] = {{size, (size_t)size_len}, {(char *)(uintptr_t)data, len}, {"\r\n", size_len ? 2 : 0}};
    size_t total = (size_t)size_len + len + piece[2].iov_len;
    while (f->out_sent < f->out.len || f->piece_sent < total) {
        struct iovec iov[4] = {{f->out.data + f->out_sent, f->out.len - f->out_sent}};
        size_t skip = f->piece_sent;
        for (size_t i = 0; i < ARRAY_SIZE(piece); i++) {
            size_t gone = skip < piece[i].iov_len ? skip : piece[i].iov_len;
            iov[i + 1] = (struct iovec){(char *)piece[i].iov_base + gone, piece[i].iov_len - gone};
            skip -= gone;
        }
        ssize_t n = http_uplink_write(f->link, iov, 4);
        if (n < 0)
            return n == -EAGAIN ? 0 : (int)n;
        f->sent += n;
        size_t head = f->out.len - f->out_sent, of_head = (size_t)n < head ? (size_t)n : head;
        f->out_sent += of_head;
        f->piece_sent += (size_t)n - of_head;
    }
    f->piece_sent = 0;
    return 1;
}

static void flush(struct forward *f) {
    int r = send_on(f, NULL, 0);
    if (r < 0) {
        lose(f, r);
        return;
    }
    http_uplink_expect(f->link, f->upstream->options.answer_s);
    if (r > 0 && http_request_gone(f->request))
        http_uplink_half_close(f->link);
    if (f->link->readable)
        look_for_answer(f);
}

static void proceed(struct forward *f) {
    if (f->has_body) {
        f->has_body = false;
        f->takes_body = true;
        http_request_stream(f->request, NULL, &sink, f);
    } else if (!f->takes_body) {
        flush(f);
    } else if (f->stalled) {
        f->stalled = false;
        http_request_resume(f->request);
    }
}

static void on_ready(void *arg) {
    struct forward *f = arg;
    if (f->answering) {
        if (f->waits && f->link->readable) {
            f->waits = false;
            http_request_resume(f->request);
        }
        return;
    }
    if (!f->takes_body) {
        proceed(f);
        return;
    }
    int r = f->link->readable ? http_uplink_fill(f->link) : 0;
    if (r < 0) {
        lose(f, r);
        return;
    }
    f->early = r > 0;
    if (f->stalled && (f->early || f->link->writable)) {
        f->stalled = false;
        http_request_resume(f->request);
    }
}

static void on_failed(void *arg, int r) {
    struct forward *f = arg;
    if (!f->answering) {
        lose(f, r);
        return;
    }
    f->link->broken = true; // the client's connection is cut, for a part is no answer
    http_uplink_expect(f->link, 0);
    if (f->waits) {
        f->waits = false;
        http_request_resume(f->request);
    }
}

static void start(struct forward *f, bool fresh) {
    static const struct http_uplink_ops ops = {on_ready, on_failed};
    int r = http_uplink_take(f->worker, f->upstream, fresh, &ops, f, &f->link);
    f->tries++;
    if (r < 0) {
        give_up(f, r);
        return;
    }
    if (f->link->connected)
        proceed(f);
}

// ---- the body, as the client sends it --------------------------------------------------------------------------------------

static int take_piece(void *arg, const void *data, size_t len, struct err *err) {
    struct forward *f = arg;
    if (f->failed || f->early)
        return err_set(err, -ECANCELED, "the answer is there before the body");
    int r = f->link ? send_on(f, data, len) : 0;
    if (r > 0) {
        http_uplink_expect(f->link, 0); // now it is the client's turn
        return 0;
    }
    f->stalled = true;
    if (r < 0)
        lose(f, r); // resumes, with another connection or with its failure
    else
        http_uplink_expect(f->link, f->upstream->options.answer_s);
    return -EAGAIN;
}

static void body_ended(void *arg, struct http_request *request, int rc) {
    struct forward *f = arg;
    f->takes_body = f->stalled = false;
    if (rc == -ECONNRESET) {
        forward_free(f);
    } else if (f->failed) {
        give_up(f, f->failed);
    } else if (f->early) {
        f->link->spoiled = true;
        look_for_answer(f);
    } else if (rc < 0) {
        http_reply_error(request, http_request_error(request));
        forward_free(f);
    } else if (f->chunked && http_buffer_append(&f->out, "0\r\n\r\n", 5) < 0) {
        give_up(f, -ENOMEM);
    } else if (f->link->connected) {
        flush(f);
    }
}

// The client left: a long poll of the upstream ends with it; an answer that is under way finds out by itself.
static void client_left(void *arg, bool wholly) {
    struct forward *f = arg;
    if (f->takes_body) {
        if (wholly && f->stalled) {
            f->stalled = false;
            http_request_resume(f->request);
        }
        return;
    }
    bool sent = f->link && f->link->connected && f->out_sent == f->out.len;
    if (!wholly && sent)
        http_uplink_half_close(f->link);
    if (!wholly)
        return;
    http_reply_empty(f->request, 502); // to nobody
    forward_free(f);
}

// ---- begin -----------------------------------------------------------------------------------------------------------------

void http_forward(struct http_request *request, const struct http_forward *forward) {
    struct forward *f = mem_zalloc(sizeof *f);
    if (!f) {
        if (forward->watcher)
            forward->watcher->ended(forward->arg);
        http_reply_empty(request, 503);
        return;
    }
    *f = (struct forward){.request = request,
                          .worker = http_connection_of(request)->worker,
                          .upstream = forward->upstream,
                          .watcher = forward->watcher,
                          .arg = forward->arg,
                          .may_repeat = forward->may_repeat,
                          .chunked = request->head.chunked};
    if (http_hop_request(&f->out, &request->head, forward) < 0) {
        give_up(f, -ENOMEM);
        return;
    }
    request->left = client_left;
    request->left_arg = f;
    f->has_body = request->head.chunked || request->head.content_length > 0;
    f->may_repeat = f->may_repeat && !f->has_body;
    start(f, false);
}
