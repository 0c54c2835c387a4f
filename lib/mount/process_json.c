// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/process_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct json *process_id_encode(const struct process_id *id) {
    struct json *object cleanup(json_freep) = json_object_new();
    if (!object || json_set_int(object, "pid", id->pid) < 0 || json_set_int(object, "start", (int64_t)id->start) < 0 ||
        json_set_text(object, "domain", id->domain) < 0)
        return NULL;
    return take_ptr(object);
}

int process_id_decode(const struct json *json, struct process_id *ret) {
    const char *domain = json ? json_get_text(json, "domain") : NULL;
    int64_t pid = json ? json_get_int(json, "pid", 0) : 0, start = json ? json_get_int(json, "start", 0) : 0;
    if (!domain || strlen(domain) > PROCESS_DOMAIN_LEN || pid <= 0 || pid > INT32_MAX || start <= 0)
        return -EBADMSG;
    *ret = (struct process_id){.pid = (pid_t)pid, .start = (uint64_t)start};
    (void)snprintf(ret->domain, sizeof ret->domain, "%s", domain);
    return 0;
}
