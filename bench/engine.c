// SPDX-License-Identifier: Apache-2.0
// The engine alone, in one process: what the HTTP routes can reach at most. Figures: "engine.figure value unit".
//
// usage: bench-engine FOLDER [SECONDS]     (the folder is made, and must not exist yet)
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/sqlite.h"

#define KEYS 100000
#define VALUE 256

static struct engine engine;
static int64_t seconds = 3;
static int64_t end_ns;
static atomic_long operations, failures;
static char value[4096];

static int64_t now(void) {
    return clock_monotonic(&clock_system);
}

// ---- writes: N calls in flight, each started again by its own end ----

enum kind { PUT, SEND, TAKE, OBJECT };
struct flight {
    enum kind kind;
    struct kv_write write;
    struct kv_change change;
    struct queue_send send;
    struct queue_message message;
    struct queue_receive receive;
    struct object_put object;
    char key[32];
    uint64_t random;
    int64_t started;
    int64_t worst;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t landed = PTHREAD_COND_INITIALIZER;
static int flying;
static atomic_long serial;

static void start(struct flight *f);

static void over(struct engine_call *call) {
    struct flight *f = call->arg;
    if (call->err.code < 0)
        atomic_fetch_add(&failures, 1);
    if (f->kind == TAKE && f->receive.ret_count == 0)
        atomic_fetch_add(&failures, 1);
    engine_call_release(call);
    atomic_fetch_add(&operations, 1);
    int64_t t = now();
    if (t - f->started > f->worst)
        f->worst = t - f->started;
    if (t < end_ns) {
        start(f);
        return;
    }
    (void)pthread_mutex_lock(&lock);
    if (--flying == 0)
        (void)pthread_cond_signal(&landed);
    (void)pthread_mutex_unlock(&lock);
}

static void start_object(struct flight *f, const struct engine_call *call) {
    struct object_upload *upload;
    struct blob key = {f->key, strlen(f->key)};
    if (engine.object->upload(engine.self, "ws", "private", key, NULL, 4096, &upload, NULL) < 0 ||
        engine.object->upload_write(engine.self, upload, value, 4096, NULL) < 0)
        abort();
    f->object = (struct object_put){.call = *call, .upload = upload};
    engine.object->commit(engine.self, &f->object);
}

static void start(struct flight *f) {
    struct engine_call call = {.workspace = "ws", .done = over, .arg = f};
    f->random = f->random * 6364136223846793005u + 1442695040888963407u;
    (void)snprintf(f->key, sizeof f->key, "key:%09u", (unsigned)((f->random >> 33) % KEYS));
    f->started = now();
    if (f->kind == PUT) {
        f->change = (struct kv_change){.key = {f->key, strlen(f->key)}, .value = {value, VALUE}, .if_version = -1};
        f->write = (struct kv_write){.call = call, .ns = "n", .changes = &f->change, .count = 1};
        engine.kv->write(engine.self, &f->write);
    } else if (f->kind == SEND) {
        (void)snprintf(f->key, sizeof f->key, "%ld", atomic_fetch_add(&serial, 1));
        f->message =
            (struct queue_message){.body = {value, VALUE}, .dedup_id = {f->key, strlen(f->key)}, .delay_ms = -1};
        f->send = (struct queue_send){.call = call, .queue = "q", .messages = &f->message, .count = 1};
        engine.queue->send(engine.self, &f->send);
    } else if (f->kind == TAKE) {
        f->receive = (struct queue_receive){.call = call, .queue = "q", .mode = QUEUE_TAKE, .max = 1};
        engine.queue->receive(engine.self, &f->receive);
    } else {
        start_object(f, &call);
    }
}

static void measure(const char *name, enum kind kind, int count) {
    struct flight *flights = calloc((size_t)count, sizeof *flights);
    if (!flights)
        abort();
    atomic_store(&operations, 0);
    atomic_store(&failures, 0);
    flying = count;
    int64_t began = now();
    end_ns = began + seconds * NS_PER_S;
    for (int i = 0; i < count; i++) {
        flights[i].kind = kind == TAKE && i % 2 ? SEND : kind; // takes beside as many sends
        flights[i].random = (uint64_t)i * 7919 + 1;
        start(&flights[i]);
    }
    (void)pthread_mutex_lock(&lock);
    while (flying > 0)
        (void)pthread_cond_wait(&landed, &lock);
    (void)pthread_mutex_unlock(&lock);
    double took = (double)(now() - began) / NS_PER_S;
    int64_t worst = 0;
    for (int i = 0; i < count; i++)
        worst = flights[i].worst > worst ? flights[i].worst : worst;
    printf("engine.%s_%d %.0f 1/s\n# slowest %.1f ms, failed or empty %ld\n", name, count,
           (double)atomic_load(&operations) / took, (double)worst / NS_PER_MS, atomic_load(&failures));
    (void)fflush(stdout);
    if (kind != TAKE && atomic_load(&failures) > 0) {
        (void)fprintf(stderr, "bench-engine: %s failed %ld times\n", name, atomic_load(&failures));
        exit(1);
    }
    free(flights);
}

// ---- reads: on this thread ----

static void got(struct engine_call *call) {
    engine_call_release(call);
}

static void measure_get(void) {
    uint64_t random = 1;
    long count = 0;
    int64_t began = now(), until = began + seconds * NS_PER_S;
    while (count % 100 != 0 || now() < until) {
        char key[32];
        random = random * 6364136223846793005u + 1442695040888963407u;
        (void)snprintf(key, sizeof key, "key:%09u", (unsigned)((random >> 33) % KEYS));
        struct kv_get get = {.call = {.workspace = "ws", .done = got}, .ns = "n", .key = {key, strlen(key)}};
        engine.kv->get(engine.self, &get);
        count++;
    }
    printf("engine.kv_get_1_thread %.0f 1/s\n", (double)count / ((double)(now() - began) / NS_PER_S));
}

static void ready(struct engine_call *call) {
    (void)call;
    (void)pthread_mutex_lock(&lock);
    flying = 0;
    (void)pthread_cond_signal(&landed);
    (void)pthread_mutex_unlock(&lock);
}

static void wait_ready(void) {
    (void)pthread_mutex_lock(&lock);
    while (flying > 0)
        (void)pthread_cond_wait(&landed, &lock);
    (void)pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv) {
    struct err err = ERR_NONE;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench-engine FOLDER [SECONDS]\n");
        return 2;
    }
    if (argc > 2)
        seconds = atoi(argv[2]);
    if (sqlite_engine_open(&(struct sqlite_engine_options){.folder = argv[1]}, &engine, &err) < 0) {
        (void)fprintf(stderr, "bench-engine: %s\n", err_text(&err));
        return 1;
    }
    memset(value, 'v', sizeof value);
    struct kv_namespaces ns = {.call = {.workspace = "ws", .done = ready}, .name = "n"};
    flying = 1;
    engine.kv->create(engine.self, &ns);
    wait_ready();
    struct queue_describe queue = {
        .call = {.workspace = "ws", .done = ready}, .name = "q", .settings = {-1, -1, -1, -1, -1, NULL}};
    flying = 1;
    engine.queue->create(engine.self, &queue);
    wait_ready();
    measure("kv_put", PUT, 64);
    measure("kv_put", PUT, 64);
    measure("kv_put", PUT, 1);
    measure("kv_put", PUT, 256);
    measure_get();
    measure("queue_send", SEND, 64);
    measure("queue_send_and_take", TAKE, 64);
    measure("object_put_4k", OBJECT, 64);
    sqlite_engine_close(&engine);
    return 0;
}
