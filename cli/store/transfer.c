// SPDX-License-Identifier: Apache-2.0
#include "cli/store/transfer.h"

#include "cli/store/stream.h"

int transfer_up(struct http_client *client, const char *method, const struct str *path, const char *form_part,
                const char *const *headers, const char *file, struct err *err) {
    struct stream stream cleanup_stream = {.fd = -1};
    struct http_answer answer cleanup_answer = {0};
    if (path->failed)
        return store_no_memory(err);
    int r = stream_open(file, &stream, err);
    if (r < 0)
        return r;
    struct http_exchange exchange = {.method = method,
                                     .path = path->data,
                                     .headers = headers,
                                     .read = stream_read,
                                     .size = stream.size,
                                     .form_part = form_part,
                                     .arg = &stream};
    return http_client_send(client, &exchange, &answer, err);
}

int transfer_down(struct http_client *client, const struct str *path, const char *file, struct err *err) {
    struct target target cleanup_target = {.stream = {.fd = -1}};
    struct http_answer answer cleanup_answer = {0};
    if (path->failed)
        return store_no_memory(err);
    int r = target_open(file, &target, err);
    if (r < 0)
        return r;
    struct http_exchange exchange = {.method = "GET", .path = path->data, .write = stream_write, .arg = &target.stream};
    r = http_client_send(client, &exchange, &answer, err);
    return r < 0 ? r : target_commit(&target, err);
}
