// SPDX-License-Identifier: Apache-2.0
#include "sidecar/storage_upload.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/job.h"

struct storage_upload {
    struct work work; // in the workers' queue while `busy`, or when there is nothing else to come
    struct service *service;
    struct http_request *request;
    struct file_system *fs;
    char *path;
    struct file_upload *upload; // NULL until the first piece; the worker's
    pthread_mutex_t lock;       // of what follows
    char *piece;
    size_t len, cap;
    struct err err;
    bool busy, waiting; // a worker has the piece; the connection is to be resumed after it
    bool ended, gone;   // the body is complete; the request was answered, or its client is gone
};

static void upload_free(struct storage_upload *upload) {
    if (upload->upload)
        upload->fs->ops->upload_cancel(upload->upload);
    (void)pthread_mutex_destroy(&upload->lock);
    free(upload->piece);
    free(upload->path);
    free(upload);
}

static void run_free(struct work *work) {
    upload_free((struct storage_upload *)work); // the first member
}

static int ensure_open(struct storage_upload *upload, struct err *err) {
    return upload->upload ? 0 : upload->fs->ops->upload(upload->fs->self, upload->path, &upload->upload, err);
}

// All pieces are written: the file gets its name, and the request its answer.
static void finish(struct storage_upload *upload) {
    int r = upload->err.code;
    if (r == 0)
        r = ensure_open(upload, &upload->err); // an empty file has no piece
    if (r == 0)
        r = upload->fs->ops->upload_commit(take_ptr(upload->upload), &upload->err);
    if (r < 0)
        http_reply_error(upload->request, &upload->err);
    else
        http_reply_empty(upload->request, 201);
    upload_free(upload);
}

static void run_finish(struct work *work) {
    finish((struct storage_upload *)work);
}

static void run_piece(struct work *work) {
    struct storage_upload *upload = (struct storage_upload *)work;
    struct err err = ERR_NONE;
    int r = ensure_open(upload, &err);
    if (r == 0)
        r = upload->fs->ops->upload_write(upload->upload, upload->piece, upload->len, &err);
    (void)pthread_mutex_lock(&upload->lock);
    upload->busy = false;
    if (r < 0)
        upload->err = err;
    bool gone = upload->gone, ended = upload->ended;
    if (upload->waiting && !gone && !ended) {
        upload->waiting = false;
        http_request_resume(upload->request); // under the lock, so that the request does not end meanwhile
    }
    (void)pthread_mutex_unlock(&upload->lock);
    if (gone)
        upload_free(upload);
    else if (ended)
        finish(upload);
}

// ---- on the connection's thread ----

static int take_piece(struct storage_upload *upload, const void *data, size_t len, struct err *err) {
    if (upload->err.code) {
        *err = upload->err;
        return err->code;
    }
    if (upload->busy) {
        upload->waiting = true;
        return -EAGAIN;
    }
    if (len > upload->cap) {
        char *grown = mem_realloc(upload->piece, len, 1);
        if (!grown)
            return err_set(&upload->err, -ENOMEM, "out of memory; try again later");
        upload->piece = grown;
        upload->cap = len;
    }
    memcpy(upload->piece, data, len);
    upload->len = len;
    upload->work.run = run_piece;
    upload->busy = true; // before a worker can have it
    if (workq_push(upload->service->workers, &upload->work) == 0)
        return 0;
    upload->busy = false;
    return err_set(&upload->err, -ESHUTDOWN, "the server is stopping");
}

static int write_piece(void *arg, const void *data, size_t len, struct err *err) {
    struct storage_upload *upload = arg;
    LOCK_SCOPE(&upload->lock);
    return take_piece(upload, data, len, err);
}

static void push_last(struct storage_upload *upload, void (*run)(struct work *work)) {
    upload->work.run = run;
    if (workq_push(upload->service->workers, &upload->work) == 0)
        return;
    if (run == run_finish)
        http_reply_status(upload->request, 503, "shutting_down", "the server is stopping");
    upload_free(upload);
}

static void end_of_body(void *arg, struct http_request *request, int rc) {
    struct storage_upload *upload = arg;
    (void)pthread_mutex_lock(&upload->lock);
    struct err err = upload->err;
    bool busy = upload->busy;
    upload->ended = rc == 0;
    upload->gone = rc < 0;
    (void)pthread_mutex_unlock(&upload->lock);
    // From here a busy worker has the upload, and frees it.
    if (rc < 0) {
        if (!err.code)
            (void)err_set(&err, rc, "the form's part 'file' did not arrive whole: %s", err_name(rc));
        http_reply_error(request, &err);
    }
    if (!busy)
        push_last(upload, rc < 0 ? run_free : run_finish);
}

void storage_upload_start(struct service *service, struct http_request *request, struct file_system *fs, char *path) {
    static const struct http_sink sink = {.write = write_piece, .end = end_of_body};
    struct storage_upload *upload = mem_zalloc(sizeof *upload);
    if (!upload) {
        free(path);
        reply_out_of_memory(request);
        return;
    }
    upload->service = service;
    upload->request = request;
    upload->fs = fs;
    upload->path = path;
    (void)pthread_mutex_init(&upload->lock, NULL);
    http_request_stream(request, "file", &sink, upload);
}
