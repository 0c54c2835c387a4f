// SPDX-License-Identifier: Apache-2.0
#include "tests/support/engine_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/cm.h"

static int64_t wall(void *ctx) {
    return atomic_load(&((struct kit *)ctx)->wall_ns);
}
static int64_t mono(void *ctx) {
    return atomic_load(&((struct kit *)ctx)->mono_ns);
}
static void bytes(void *ctx, void *buf, size_t n) {
    (void)ctx;
    clock_random(&clock_system, buf, n);
}
static const struct clock_ops ops = {mono, wall, bytes};

void kit_pass(struct kit *kit, int64_t ms) {
    atomic_fetch_add(&kit->wall_ns, ms * NS_PER_MS);
    atomic_fetch_add(&kit->mono_ns, ms * NS_PER_MS);
    if (kit->poke)
        kit->poke(&kit->engine);
}

void kit_start(struct kit *kit) {
    (void)snprintf(kit->folder, sizeof kit->folder, "/var/tmp/stowage-engine.XXXXXX");
    assert_non_null(mkdtemp(kit->folder));
    kit->clock = (struct clock){&ops, kit};
    atomic_store(&kit->wall_ns, INT64_C(1700000000) * NS_PER_S);
    atomic_store(&kit->mono_ns, 1000 * NS_PER_S);
    kit_open(kit);
}

void kit_stop(struct kit *kit) {
    char command[128];
    kit_close(kit);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", kit->folder);
    assert_int_equal(system(command), 0);
}

static void ended(struct engine_call *call) {
    struct kit_wait *wait = call->arg;
    LOCK_SCOPE(&wait->lock);
    wait->count++;
    (void)pthread_cond_broadcast(&wait->ended);
}

struct engine_call kit_call(struct kit_wait *wait) {
    return (struct engine_call){.workspace = "ws", .done = ended, .arg = wait};
}

int kit_end(struct kit_wait *wait, struct engine_call *call) {
    (void)pthread_mutex_lock(&wait->lock);
    while (wait->count == 0)
        (void)pthread_cond_wait(&wait->ended, &wait->lock);
    int count = wait->count;
    (void)pthread_mutex_unlock(&wait->lock);
    assert_int_equal(count, 1);
    return call->err.code;
}

bool kit_ended(struct kit_wait *wait) {
    LOCK_SCOPE(&wait->lock);
    return wait->count > 0;
}

// RUN(call, op): starts and waits.
#define RUN(kit, table, op, var) ((kit)->engine.table->op((kit)->engine.self, &(var)), kit_end(&wait, &(var).call))

int kit_ns(struct kit *kit, const char *ns) {
    struct kit_wait wait = KIT_WAIT;
    struct kv_namespaces call = {.call = kit_call(&wait), .name = ns};
    return RUN(kit, kv, create, call);
}

int kit_put_if(struct kit *kit, const char *ns, const char *key, const char *value, int64_t if_version, int64_t ttl_ms,
               int64_t *ret_version) {
    struct kit_wait wait = KIT_WAIT;
    struct kv_change change = {.action = value ? KV_PUT : KV_REMOVE,
                               .key = text_blob(key),
                               .value = text_blob(value ? value : ""),
                               .if_version = if_version,
                               .ttl_ms = ttl_ms};
    struct kv_write call = {.call = kit_call(&wait), .ns = ns, .changes = &change, .count = 1};
    int r = RUN(kit, kv, write, call);
    if (ret_version)
        *ret_version = change.ret_version;
    return r;
}

int kit_put(struct kit *kit, const char *ns, const char *key, const char *value) {
    return kit_put_if(kit, ns, key, value, -1, 0, NULL);
}

int kit_remove(struct kit *kit, const char *ns, const char *key) {
    return kit_put_if(kit, ns, key, NULL, -1, 0, NULL);
}

char *kit_get(struct kit *kit, const char *ns, const char *key) {
    struct kit_wait wait = KIT_WAIT;
    struct kv_get call = {.call = kit_call(&wait), .ns = ns, .key = text_blob(key)};
    int r = RUN(kit, kv, get, call);
    char *value = r == 0 ? take_ptr(call.ret_data) : NULL;
    engine_call_release(&call.call);
    return value;
}

int kit_queue(struct kit *kit, const char *queue, struct queue_settings settings) {
    struct kit_wait wait = KIT_WAIT;
    struct queue_describe call = {.call = kit_call(&wait), .name = queue, .settings = settings};
    return RUN(kit, queue, create, call);
}

int kit_send(struct kit *kit, const char *queue, const char *body, bool *ret_duplicate) {
    struct kit_wait wait = KIT_WAIT;
    struct queue_message message = {.body = text_blob(body), .delay_ms = -1};
    struct queue_send call = {.call = kit_call(&wait), .queue = queue, .messages = &message, .count = 1};
    int r = RUN(kit, queue, send, call);
    if (ret_duplicate)
        *ret_duplicate = message.ret_duplicate;
    return r;
}

char *kit_receive(struct kit *kit, const char *queue, enum queue_receive_mode mode, char *ret_receipt) {
    struct kit_wait wait = KIT_WAIT;
    struct queue_receive call = {.call = kit_call(&wait), .queue = queue, .mode = mode, .max = 1, .visibility_ms = -1};
    assert_int_equal(RUN(kit, queue, receive, call), 0);
    char *body = NULL;
    if (call.ret_count > 0) {
        body = take_ptr(call.ret[0].body);
        if (ret_receipt)
            memcpy(ret_receipt, call.ret[0].receipt, 64);
    }
    engine_call_release(&call.call);
    return body;
}

int kit_settle(struct kit *kit, const char *queue, enum queue_settle_action action, const char *receipt, int64_t ms,
               bool *ret_ok) {
    struct kit_wait wait = KIT_WAIT;
    struct queue_settle call = {.call = kit_call(&wait),
                                .queue = queue,
                                .action = action,
                                .receipts = &receipt,
                                .count = 1,
                                .delay_ms = ms,
                                .ret_ok = ret_ok};
    return RUN(kit, queue, settle, call);
}

struct queue_info kit_info(struct kit *kit, const char *queue) {
    struct kit_wait wait = KIT_WAIT;
    struct queue_describe call = {.call = kit_call(&wait), .name = queue};
    assert_int_equal(RUN(kit, queue, describe, call), 0);
    assert_int_equal(call.ret_count, 1);
    struct queue_info info = call.ret[0];
    engine_call_release(&call.call);
    info.name = NULL;
    info.settings.dead_letter = NULL;
    return info;
}

int kit_object(struct kit *kit, const char *bucket, const char *key, const void *data, size_t len,
               struct object_condition condition) {
    const struct object_ops *object = kit->engine.object;
    struct object_upload *upload = NULL;
    struct err err = ERR_NONE;
    int r = object->upload(kit->engine.self, "ws", bucket, text_blob(key), "text/x", -1, &upload, &err);
    if (r < 0)
        return r;
    for (size_t done = 0; r == 0 && done < len; done += 10000)
        r = object->upload_write(kit->engine.self, upload, (const char *)data + done,
                                 len - done < 10000 ? len - done : 10000, &err);
    if (r < 0) {
        object->upload_cancel(kit->engine.self, upload);
        return r;
    }
    struct kit_wait wait = KIT_WAIT;
    struct object_put call = {.call = kit_call(&wait), .upload = upload, .condition = condition};
    r = RUN(kit, object, commit, call);
    engine_call_release(&call.call);
    return r;
}

char *kit_object_get(struct kit *kit, const char *bucket, const char *key, size_t *ret_len, int *ret_code) {
    struct kit_wait wait = KIT_WAIT;
    struct object_get call = {.call = kit_call(&wait), .bucket = bucket, .key = text_blob(key)};
    *ret_code = RUN(kit, object, get, call);
    *ret_len = 0;
    if (*ret_code < 0)
        return NULL;
    *ret_len = (size_t)call.ret.size;
    char *bytes_of = malloc(*ret_len + 1);
    assert_non_null(bytes_of);
    if (call.ret_fd >= 0) {
        assert_int_equal(pread(call.ret_fd, bytes_of, *ret_len, 0), *ret_len);
        (void)close(call.ret_fd);
    } else {
        memcpy(bytes_of, call.ret_data, *ret_len);
    }
    engine_call_release(&call.call);
    return bytes_of;
}

int kit_object_remove(struct kit *kit, const char *bucket, const char *key) {
    struct kit_wait wait = KIT_WAIT;
    struct object_remove call = {.call = kit_call(&wait), .bucket = bucket, .key = text_blob(key)};
    return RUN(kit, object, remove, call);
}
