// SPDX-License-Identifier: Apache-2.0
// Load on a CSI controller: makes, lists and deletes volumes with a number of calls in flight, and prints rates and
// latencies, one "NAME VALUE UNIT" a line. Works on any driver's socket.
//
//   bench-provision SOCKET create|delete COUNT IN_FLIGHT [NAME=VALUE...]    (parameters of the class)
//   bench-provision SOCKET list
//
// `delete` deletes what `create` made: it takes the ids from the file named by BENCH_IDS, where create wrote them.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/rpc/client.h"
#include "proto/csi.pb-c.h"

#define CALL_LIMIT_NS (60 * NS_PER_S)
#define PARAMETERS_MAX 16
#define IN_FLIGHT_MAX 256
#define COUNT_MAX 1000000
#define CAPACITY (INT64_C(1) << 30)

typedef Csi__V1__CreateVolumeRequest__ParametersEntry parameter;

struct load {
    struct rpc_client *client;
    bool creating;
    size_t count;
    atomic_size_t next, failures;
    int64_t *took_ns;
    char **ids;
    parameter parameters[PARAMETERS_MAX];
    parameter *parameter_list[PARAMETERS_MAX];
    size_t parameter_count;
};

static int64_t now(void) {
    return clock_monotonic(&clock_system);
}

static void figure(const char *name, double value, const char *unit) {
    (void)printf("%s %.2f %s\n", name, value, unit);
}

static int create(struct load *load, size_t i, struct rpc_status *status) {
    char name[32];
    (void)snprintf(name, sizeof name, "bench-%06zu", i);
    Csi__V1__VolumeCapability capability = CSI__V1__VOLUME_CAPABILITY__INIT, *capabilities[] = {&capability};
    Csi__V1__VolumeCapability__MountVolume mount = CSI__V1__VOLUME_CAPABILITY__MOUNT_VOLUME__INIT;
    Csi__V1__VolumeCapability__AccessMode mode = CSI__V1__VOLUME_CAPABILITY__ACCESS_MODE__INIT;
    Csi__V1__CapacityRange range = CSI__V1__CAPACITY_RANGE__INIT;
    Csi__V1__CreateVolumeRequest request = CSI__V1__CREATE_VOLUME_REQUEST__INIT;
    mode.mode = CSI__V1__VOLUME_CAPABILITY__ACCESS_MODE__MODE__MULTI_NODE_MULTI_WRITER;
    capability.access_type_case = CSI__V1__VOLUME_CAPABILITY__ACCESS_TYPE_MOUNT;
    capability.mount = &mount;
    capability.access_mode = &mode;
    range.required_bytes = CAPACITY;
    request.name = name;
    request.capacity_range = &range;
    request.n_volume_capabilities = 1;
    request.volume_capabilities = capabilities;
    request.n_parameters = load->parameter_count;
    request.parameters = load->parameter_list;
    ProtobufCMessage *reply cleanup(rpc_message_freep) = NULL;
    int r = rpc_client_call(load->client, "/csi.v1.Controller/CreateVolume", &request.base,
                            &csi__v1__create_volume_response__descriptor, &reply, now() + CALL_LIMIT_NS, status);
    if (r < 0)
        return r;
    const Csi__V1__Volume *volume = ((Csi__V1__CreateVolumeResponse *)reply)->volume;
    load->ids[i] = volume ? mem_strdup(volume->volume_id) : NULL;
    return load->ids[i] ? 0 : -EPROTO;
}

static int destroy(struct load *load, size_t i, struct rpc_status *status) {
    Csi__V1__DeleteVolumeRequest request = CSI__V1__DELETE_VOLUME_REQUEST__INIT;
    ProtobufCMessage *reply cleanup(rpc_message_freep) = NULL;
    request.volume_id = load->ids[i];
    return rpc_client_call(load->client, "/csi.v1.Controller/DeleteVolume", &request.base,
                           &csi__v1__delete_volume_response__descriptor, &reply, now() + CALL_LIMIT_NS, status);
}

static void *worker(void *arg) {
    struct load *load = arg;
    for (size_t i; (i = atomic_fetch_add(&load->next, 1)) < load->count;) {
        struct rpc_status status = {.code = RPC_OK};
        int64_t start = now();
        int r = load->creating ? create(load, i, &status) : destroy(load, i, &status);
        load->took_ns[i] = now() - start;
        if (r < 0 && atomic_fetch_add(&load->failures, 1) < 3)
            (void)fprintf(stderr, "bench-provision: call %zu: %s: %s\n", i, rpc_code_name(status.code), status.message);
    }
    return NULL;
}

static int compare(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int run_load(struct load *load, size_t in_flight) {
    pthread_t threads[IN_FLIGHT_MAX];
    size_t started = 0;
    int64_t start = now();
    while (started < in_flight && pthread_create(&threads[started], NULL, worker, load) == 0)
        started++;
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    double seconds = (double)(now() - start) / NS_PER_S;
    if (started < in_flight || load->failures) {
        (void)fprintf(stderr, "bench-provision: %zu of %zu calls failed\n", load->failures, load->count);
        return -EIO;
    }
    qsort(load->took_ns, load->count, sizeof *load->took_ns, compare);
    figure("rate", (double)load->count / seconds, "1/s");
    figure("p50", (double)load->took_ns[load->count / 2] / NS_PER_MS, "ms");
    figure("p99", (double)load->took_ns[load->count * 99 / 100] / NS_PER_MS, "ms");
    return 0;
}

// One id a line.
static int ids_save(const struct load *load, const char *path) {
    FILE *file = fopen(path, "we");
    if (!file)
        return -errno;
    for (size_t i = 0; i < load->count; i++)
        (void)fprintf(file, "%s\n", load->ids[i] ? load->ids[i] : "");
    return fclose(file) == 0 ? 0 : -errno;
}

static int ids_load(struct load *load, const char *path) {
    char line[256];
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    size_t n = 0;
    while (n < load->count && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        load->ids[n] = mem_strdup(line);
        n += load->ids[n] != NULL;
    }
    (void)fclose(file);
    return n == load->count ? 0 : -EINVAL;
}

static int list(struct rpc_client *client) {
    Csi__V1__ListVolumesRequest request = CSI__V1__LIST_VOLUMES_REQUEST__INIT;
    ProtobufCMessage *reply cleanup(rpc_message_freep) = NULL;
    struct rpc_status status = {.code = RPC_OK};
    int64_t start = now();
    int r = rpc_client_call(client, "/csi.v1.Controller/ListVolumes", &request.base,
                            &csi__v1__list_volumes_response__descriptor, &reply, now() + CALL_LIMIT_NS, &status);
    if (r < 0) {
        (void)fprintf(stderr, "bench-provision: ListVolumes: %s: %s\n", rpc_code_name(status.code), status.message);
        return r;
    }
    figure("entries", (double)((Csi__V1__ListVolumesResponse *)reply)->n_entries, "volumes");
    figure("time", (double)(now() - start) / NS_PER_MS, "ms");
    return 0;
}

static int read_parameters(struct load *load, char **pairs) {
    for (; *pairs; pairs++) {
        char *equals = strchr(*pairs, '=');
        if (!equals || load->parameter_count == PARAMETERS_MAX)
            return -EINVAL;
        *equals = '\0';
        parameter *entry = &load->parameters[load->parameter_count];
        csi__v1__create_volume_request__parameters_entry__init(entry);
        entry->key = *pairs;
        entry->value = equals + 1;
        load->parameter_list[load->parameter_count++] = entry;
    }
    return 0;
}

static int load_main(struct rpc_client *client, int argc, char **argv) {
    static struct load load;
    uint64_t count = 0, in_flight = 0;
    const char *ids = getenv("BENCH_IDS");
    load.client = client;
    load.creating = str_eq(argv[2], "create");
    if (argc < 5 || !ids || str_to_u64(argv[3], 1, COUNT_MAX, &count) < 0 ||
        str_to_u64(argv[4], 1, IN_FLIGHT_MAX, &in_flight) < 0 || read_parameters(&load, argv + 5) < 0)
        return -EINVAL;
    load.count = count;
    load.took_ns = mem_array(count, sizeof *load.took_ns);
    load.ids = mem_array(count, sizeof *load.ids);
    int r = load.took_ns && load.ids ? 0 : -ENOMEM;
    if (r == 0 && !load.creating)
        r = ids_load(&load, ids);
    if (r == 0)
        r = run_load(&load, in_flight);
    if (load.creating && load.ids) {
        int saved = ids_save(&load, ids);
        r = r < 0 ? r : saved;
    }
    for (size_t i = 0; load.ids && i < count; i++)
        free(load.ids[i]);
    free(load.ids);
    free(load.took_ns);
    return r;
}

int main(int argc, char **argv) {
    struct rpc_client *client cleanup(rpc_client_freep) = NULL;
    struct err err = ERR_NONE;
    if (argc < 3) {
        (void)fprintf(stderr,
                      "usage: BENCH_IDS=FILE bench-provision SOCKET create|delete COUNT IN_FLIGHT [NAME=VALUE...]"
                      "\n       bench-provision SOCKET list\n");
        return 2;
    }
    if (rpc_client_connect(argv[1], &client, &err) < 0) {
        (void)fprintf(stderr, "bench-provision: %s\n", err_text(&err));
        return 1;
    }
    int r = str_eq(argv[2], "list") ? list(client) : load_main(client, argc, argv);
    if (r < 0)
        (void)fprintf(stderr, "bench-provision: %s\n", err_name(r));
    return r < 0 ? 1 : 0;
}
