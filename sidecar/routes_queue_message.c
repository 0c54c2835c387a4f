// SPDX-License-Identifier: Apache-2.0
// Messages: sending, receiving for good or on a lease, and what ends a lease.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/queue_json.h"

#define MESSAGE_BODY_MAX (12 * QUEUE_MESSAGE_MAX + 64 * 1024) // bytes: every character as two \uXXXX
#define BATCH_BODY_MAX (16 * 1024 * 1024)
#define SMALL_BODY_MAX (64 * 1024)

// ---- sending ----

static struct json *sent_json(const struct queue_message *message) {
    struct json *object cleanup(json_freep) = json_object_new();
    if (json_set_int(object, "id", message->ret_id) < 0 ||
        json_set_bool(object, "duplicate", message->ret_duplicate) < 0)
        return NULL;
    return take_ptr(object);
}

static void answer_sent(struct job *job) {
    reply_json(job->request, 200, sent_json(&job->send.messages[0]));
}

static void answer_sent_batch(struct job *job) {
    struct json *array cleanup(json_freep) = json_array_new();
    for (size_t i = 0; array && i < job->send.count; i++)
        if (json_append(array, sent_json(&job->send.messages[i])) < 0)
            array = json_free(array);
    reply_json(job->request, 200, take_ptr(array));
}

static int read_messages(struct job *job, const struct json *list, size_t count, struct err *err) {
    struct queue_message *messages = mem_array(count, sizeof *messages);
    if (!messages)
        return err_set(err, -ENOMEM, "out of memory; try again later");
    job->keep[0] = messages;
    job->send.messages = messages;
    job->send.count = count;
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = queue_read_message(list ? json_at(list, i) : job->body, &messages[i], err);
        if (r < 0 && list)
            (void)err_wrap(err, r, "messages[%zu]", i);
    }
    return r;
}

static void send_messages(struct service *service, struct http_request *request, bool batch) {
    struct err err = ERR_NONE;
    struct job *job = job_new(service, request, batch ? answer_sent_batch : answer_sent);
    if (!job || !job_read_body(job))
        return;
    const struct json *list = batch ? json_get(job->body, "messages") : NULL;
    size_t count = batch ? json_length(list) : 1;
    job->send.queue = http_request_arg(request, "queue", NULL);
    int r = 0;
    if (batch && (count == 0 || count > QUEUE_BATCH_MAX || json_is_an_object(list)))
        r = err_set(&err, -EINVAL, "'messages' is no list of 1 to %d messages", QUEUE_BATCH_MAX);
    if (r == 0)
        r = read_messages(job, list, count, &err);
    if (r < 0)
        job_refuse(job, &err);
    else
        service->engine->queue->send(service->engine->self, &job->send);
}

static void handle_send(void *arg, struct http_request *request) {
    send_messages(arg, request, false);
}
static void handle_send_batch(void *arg, struct http_request *request) {
    send_messages(arg, request, true);
}

// ---- receiving ----

static void answer_received(struct job *job) {
    struct json *array cleanup(json_freep) = json_array_new();
    for (size_t i = 0; array && i < job->receive.ret_count; i++)
        if (json_append(array, queue_delivery_json(&job->receive.ret[i], job->receive.mode)) < 0)
            array = json_free(array);
    reply_header(job->request, "Cache-Control", "no-store");
    reply_json(job->request, 200, take_ptr(array));
}

static bool client_left(const struct engine_call *call) {
    return http_request_gone(((const struct job *)call->arg)->request);
}

static void receive(struct job *job, enum queue_receive_mode mode, int64_t max, int64_t visibility_ms,
                    int64_t wait_ms) {
    job->receive.queue = http_request_arg(job->request, "queue", NULL);
    job->receive.mode = mode;
    job->receive.max = (size_t)max;
    job->receive.gone = client_left;
    job->receive.visibility_ms = visibility_ms;
    job->receive.wait_until_ns = wait_ms ? clock_monotonic(job->service->clock) + wait_ms * NS_PER_MS : 0;
    job->call.deadline_ns += wait_ms * NS_PER_MS;
    job->service->engine->queue->receive(job->service->engine->self, &job->receive);
}

static void handle_take_one(void *arg, struct http_request *request) {
    struct err err = ERR_NONE;
    int64_t wait_s = 0;
    struct job *job = job_new(arg, request, answer_received);
    if (!job)
        return;
    if (query_number(request, "wait", 0, SERVICE_WAIT_MAX_S, 0, &wait_s, &err) < 0)
        job_refuse(job, &err);
    else
        receive(job, QUEUE_TAKE, 1, -1, wait_s * 1000);
}

static void handle_peek(void *arg, struct http_request *request) {
    struct err err = ERR_NONE;
    int64_t max = 0;
    struct job *job = job_new(arg, request, answer_received);
    if (!job)
        return;
    if (query_number(request, "max", 1, QUEUE_BATCH_MAX, 1, &max, &err) < 0)
        job_refuse(job, &err);
    else
        receive(job, QUEUE_PEEK, max, -1, 0);
}

static void handle_receive(void *arg, struct http_request *request) {
    struct err err = ERR_NONE;
    int64_t max = 0, visibility_ms = -1, wait_ms = 0;
    struct job *job = job_new(arg, request, answer_received);
    if (!job || !job_read_body(job))
        return;
    const char *mode = json_get_text(job->body, "mode");
    int r = body_number(job->body, "max", 1, QUEUE_BATCH_MAX, 1, &max, &err);
    if (r == 0)
        r = body_seconds(job->body, "visibility", 12 * 3600, -1, &visibility_ms, &err);
    if (r == 0)
        r = body_seconds(job->body, "wait", SERVICE_WAIT_MAX_S, 0, &wait_ms, &err);
    if (r == 0 && json_get(job->body, "mode") && !str_eq(mode, "lease") && !str_eq(mode, "take"))
        r = err_set(&err, -EINVAL, "'mode' is '%.20s'; give lease or take", mode ? mode : "");
    if (r < 0)
        job_refuse(job, &err);
    else
        receive(job, str_eq(mode, "take") ? QUEUE_TAKE : QUEUE_LEASE, max, visibility_ms, wait_ms);
}

// HEAD would be served as GET, and take a message that nobody gets.
static void handle_no_head(void *arg, struct http_request *request) {
    (void)arg;
    reply_header(request, "Allow", "GET, POST");
    http_reply_empty(request, 405);
}

// ---- ends of leases ----

static void answer_settled(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new(), *lost = json_array_new();
    bool ok = lost != NULL;
    for (size_t i = 0; ok && i < job->settle.count; i++)
        if (!job->settle.ret_ok[i])
            ok = json_append_text(lost, job->settle.receipts[i]) == 0;
    size_t lost_count = json_length(lost);
    if (json_set_int(object, "settled", (int64_t)(job->settle.count - lost_count)) < 0)
        ok = false;
    if (json_set(object, "lost", lost) < 0 || !ok)
        object = json_free(object);
    reply_json(job->request, 200, take_ptr(object));
}

static void settle(struct service *service, struct http_request *request, enum queue_settle_action action,
                   const char *delay, int64_t delay_max_s) {
    struct err err = ERR_NONE;
    const char **receipts = NULL;
    size_t count = 0;
    struct job *job = job_new(service, request, answer_settled);
    if (!job || !job_read_body(job))
        return;
    int r = queue_read_receipts(job->body, &receipts, &count, &err);
    job->keep[0] = receipts;
    if (r == 0 && delay)
        r = body_seconds(job->body, delay, delay_max_s, 0, &job->settle.delay_ms, &err);
    if (r == 0 && action == QUEUE_EXTEND && job->settle.delay_ms == 0)
        r = err_set(&err, -EINVAL, "'visibility' is missing: the lease's new length from now");
    job->settle.ret_ok = r == 0 ? mem_array(count, sizeof *job->settle.ret_ok) : NULL;
    job->keep[1] = job->settle.ret_ok;
    if (r == 0 && !job->settle.ret_ok)
        r = err_set(&err, -ENOMEM, "out of memory; try again later");
    if (r < 0) {
        job_refuse(job, &err);
        return;
    }
    job->settle.queue = http_request_arg(request, "queue", NULL);
    job->settle.action = action;
    job->settle.receipts = receipts;
    job->settle.count = count;
    service->engine->queue->settle(service->engine->self, &job->settle);
}

static void handle_ack(void *arg, struct http_request *request) {
    settle(arg, request, QUEUE_ACK, NULL, 0);
}
static void handle_nack(void *arg, struct http_request *request) {
    settle(arg, request, QUEUE_NACK, "delay", 12 * 3600);
}
static void handle_extend(void *arg, struct http_request *request) {
    settle(arg, request, QUEUE_EXTEND, "visibility", 12 * 3600);
}

// ---- dead letters ----

static void answer_redriven(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new();
    if (json_set_int(object, "moved", job->redrive.ret_moved) < 0)
        object = json_free(object);
    reply_json(job->request, 200, take_ptr(object));
}

static void handle_redrive(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct err err = ERR_NONE;
    int64_t max = 0;
    struct job *job = job_new(service, request, answer_redriven);
    if (!job || !job_read_body(job))
        return;
    if (body_number(job->body, "max", 0, INT32_MAX, 0, &max, &err) < 0) {
        job_refuse(job, &err);
        return;
    }
    job->redrive.queue = http_request_arg(request, "queue", NULL);
    job->redrive.max = (size_t)max;
    service->engine->queue->redrive(service->engine->self, &job->redrive);
}

#define QUEUE "/queue/{queue}"
static const struct http_route rows[] = {
    // Taking a message is a change, though clients of Lepton ask for it by GET.
    {HTTP_GET, QUEUE "/messages", false, HTTP_BODY_NONE, 0, handle_take_one, "queue_take",
     "Receive one message and remove it", ACCESS_WRITE},
    {HTTP_HEAD, QUEUE "/messages", false, HTTP_BODY_NONE, 0, handle_no_head, "queue_take_head",
     "Refused: taking a message is no question", ACCESS_WRITE},
    {HTTP_POST, QUEUE "/messages", false, HTTP_BODY_WHOLE, MESSAGE_BODY_MAX, handle_send, "queue_send",
     "Send a message", ACCESS_WRITE},
    {HTTP_POST, QUEUE "/batch", false, HTTP_BODY_WHOLE, BATCH_BODY_MAX, handle_send_batch, "queue_send_batch",
     "Send several messages: all or none", ACCESS_WRITE},
    {HTTP_GET, QUEUE "/peek", false, HTTP_BODY_NONE, 0, handle_peek, "queue_peek", "Look at the next messages",
     ACCESS_READ},
    {HTTP_POST, QUEUE "/receive", false, HTTP_BODY_WHOLE, SMALL_BODY_MAX, handle_receive, "queue_receive",
     "Receive messages on a lease, or for good", ACCESS_WRITE},
    {HTTP_POST, QUEUE "/ack", false, HTTP_BODY_WHOLE, SMALL_BODY_MAX, handle_ack, "queue_ack",
     "Done with these messages: remove them", ACCESS_WRITE},
    {HTTP_POST, QUEUE "/nack", false, HTTP_BODY_WHOLE, SMALL_BODY_MAX, handle_nack, "queue_nack",
     "Give these messages back", ACCESS_WRITE},
    {HTTP_POST, QUEUE "/extend", false, HTTP_BODY_WHOLE, SMALL_BODY_MAX, handle_extend, "queue_extend",
     "Lengthen these leases", ACCESS_WRITE},
    {HTTP_POST, QUEUE "/redrive", false, HTTP_BODY_WHOLE, SMALL_BODY_MAX, handle_redrive, "queue_redrive",
     "Move dead letters back to their queues", ACCESS_WRITE},
};
const struct route_table queue_message_routes = {rows, ARRAY_SIZE(rows)};
