// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/lease.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/kube/object.h"

#define DURATION_S 15
#define GROUP "/apis/coordination.k8s.io/v1"

struct kube_lease {
    const struct kube *kube;
    const struct clock *clock;
    char *ns, *name, *identity, *collection, *path;
    uint32_t duration_s;
    char *seen_version;       // of the Lease, and
    int64_t seen_ns;          // when it was first seen so
    _Atomic int64_t until_ns; // held; 0: not
};

int kube_lease_new(const struct kube_lease_options *options, struct kube_lease **ret, struct err *err) {
    struct kube_lease *lease cleanup(kube_lease_freep) = mem_zalloc(sizeof *lease);
    if (!lease)
        return err_set(err, -ENOMEM, "out of memory");
    lease->kube = options->kube;
    lease->clock = options->clock ? options->clock : &clock_system;
    lease->duration_s = options->duration_s ? options->duration_s : DURATION_S;
    lease->ns = mem_strdup(options->ns);
    lease->name = mem_strdup(options->name);
    lease->identity = mem_strdup(options->identity);
    lease->collection = kube_collection(GROUP, options->ns, "leases");
    lease->path = lease->collection ? kube_path(lease->collection, options->name) : NULL;
    if (!lease->ns || !lease->name || !lease->identity || !lease->path)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = take_ptr(lease);
    return 0;
}

struct kube_lease *kube_lease_free(struct kube_lease *lease) {
    if (!lease)
        return NULL;
    char *texts[] = {lease->ns, lease->name, lease->identity, lease->collection, lease->path, lease->seen_version};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    free(lease);
    return NULL;
}

uint32_t kube_lease_period_ms(const struct kube_lease *lease) {
    return lease->duration_s * 1000 / 7; // 2.1 s of 15
}

bool kube_lease_is_held(const struct kube_lease *lease) {
    return clock_monotonic(lease->clock) < atomic_load(&lease->until_ns);
}

// ---- the object ------------------------------------------------------------------------------------------------------

// `old` NULL: there is none yet. `holder` "": it is given up.
static struct json *make_object(const struct kube_lease *lease, const struct json *old, const char *holder) {
    char now[KUBE_TIME_SIZE];
    const struct json *before = old ? json_get(old, "spec") : NULL;
    struct json *object cleanup(json_freep) = json_object_new();
    struct json *metadata cleanup(json_freep) = json_object_new(), *spec cleanup(json_freep) = json_object_new();
    const char *former = before ? json_get_text(before, "holderIdentity") : NULL;
    bool same = str_eq(former, holder);
    int64_t changes = before ? json_get_int(before, "leaseTransitions", 0) : 0;
    kube_time_micro(clock_wall(lease->clock), now);
    const char *since = same && before ? json_get_text(before, "acquireTime") : NULL;
    bool bad =
        !object || !metadata || !spec || json_set_text(object, "apiVersion", "coordination.k8s.io/v1") < 0 ||
        json_set_text(object, "kind", "Lease") < 0 || json_set_text(metadata, "name", lease->name) < 0 ||
        json_set_text(metadata, "namespace", lease->ns) < 0 || json_set_text(spec, "holderIdentity", holder) < 0 ||
        json_set_int(spec, "leaseDurationSeconds", *holder ? lease->duration_s : 1) < 0 ||
        json_set_text(spec, "acquireTime", since ? since : now) < 0 || json_set_text(spec, "renewTime", now) < 0 ||
        json_set_int(spec, "leaseTransitions", changes + (old && !same && *holder)) < 0;
    // Labels and the like are whoever's made it.
    const struct json *kept = old ? json_get(old, "metadata") : NULL;
    if (!bad)
        bad = json_set(object, "metadata", kept ? json_ref(kept) : json_ref(metadata)) < 0 ||
              json_set(object, "spec", json_ref(spec)) < 0;
    return bad ? NULL : take_ptr(object);
}

static void held_since(struct kube_lease *lease, int64_t asked_ns) {
    atomic_store(&lease->until_ns, asked_ns + lease->duration_s * NS_PER_S * 2 / 3);
}

static void lost(struct kube_lease *lease) {
    atomic_store(&lease->until_ns, 0);
}

static int write_lease(struct kube_lease *lease, const struct json *old, int64_t asked_ns, struct err *err) {
    struct json *object cleanup(json_freep) = make_object(lease, old, lease->identity);
    if (!object)
        return err_set(err, -ENOMEM, "out of memory");
    int r = old ? kube_update(lease->kube, lease->path, object, NULL, err)
                : kube_create(lease->kube, lease->collection, object, NULL, err);
    if (r == 0)
        held_since(lease, asked_ns);
    if (r == -EEXIST)
        r = err_set(err, -EAGAIN, "another process was faster");
    return r;
}

// Another holder's Lease: over when it has not changed for as long as it says.
static bool is_over(struct kube_lease *lease, const struct json *object, int64_t now_ns) {
    const char *version = kube_text(object, "metadata.resourceVersion");
    const struct json *spec = json_get(object, "spec");
    int64_t duration_s = spec ? json_get_int(spec, "leaseDurationSeconds", 0) : 0;
    if (str_empty(kube_text(object, "spec.holderIdentity")))
        return true;
    if (!str_eq(lease->seen_version, version)) {
        free(lease->seen_version);
        lease->seen_version = mem_strdup(version);
        lease->seen_ns = now_ns;
        return false;
    }
    return now_ns - lease->seen_ns >= duration_s * NS_PER_S;
}

int kube_lease_step(struct kube_lease *lease, struct err *err) {
    struct json *object cleanup(json_freep) = NULL;
    int64_t now_ns = clock_monotonic(lease->clock);
    int r = kube_get(lease->kube, lease->path, &object, err);
    if (r == -ENOENT)
        return write_lease(lease, NULL, now_ns, err);
    if (r < 0)
        return r;
    const char *holder = kube_text(object, "spec.holderIdentity");
    if (!str_eq(holder, lease->identity)) {
        lost(lease);
        if (!is_over(lease, object, now_ns))
            return err_set(err, -EAGAIN, "%.100s leads", holder);
    }
    return write_lease(lease, object, now_ns, err);
}

void kube_lease_release(struct kube_lease *lease) {
    struct json *object cleanup(json_freep) = NULL;
    bool held = kube_lease_is_held(lease);
    lost(lease);
    if (!held || kube_get(lease->kube, lease->path, &object, NULL) < 0 ||
        !str_eq(kube_text(object, "spec.holderIdentity"), lease->identity))
        return;
    struct json *given cleanup(json_freep) = make_object(lease, object, "");
    int r = given ? kube_update(lease->kube, lease->path, given, NULL, NULL) : -ENOMEM;
    if (r < 0)
        log_debug("the lease was not given up; it ends by itself", LOG_S("lease", lease->name));
}
