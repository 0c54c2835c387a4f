// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/seeds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

#define BATCH_MAX 500                     // keys in a write
#define BATCH_BYTES_MAX (4 * 1024 * 1024) // of them, as they stand in the object
#define SEEDS_MAX 8192                    // of data and binaryData together, as the schema has it

struct seeding {
    const struct operator_context *ctx;
    const struct json *object;
    struct tenant_report *report;
    struct err *err;
    uint64_t *before; // digests, sorted
    size_t before_count;
    uint64_t *now;
    size_t now_count;
    bool binary;
    struct json *changes;
    size_t bytes;
    int result;
};

static int compare(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// Of "data", NUL, key, NUL, value: neither contains the other's end, since a key has no NUL.
static int digest_of(bool binary, const char *key, const char *value, size_t len, uint64_t *ret) {
    struct str text cleanup_str = {0};
    unsigned char digest[HASH_SHA256];
    (void)str_append_bytes(&text, binary ? "b" : "t", 1);
    (void)str_append_bytes(&text, key, strlen(key) + 1);
    if (str_append_bytes(&text, value, len) < 0)
        return -ENOMEM;
    hash_sha256(text.data, text.len, digest);
    memcpy(ret, digest, sizeof *ret);
    return 0;
}

static int flush(struct seeding *seeding) {
    struct json *body cleanup(json_freep) = json_object_new();
    char *path cleanup_free = mem_printf("/kv/namespaces/%s/batch", kube_name(seeding->object));
    if (!seeding->changes)
        return 0;
    if (!path || json_set(body, "changes", take_ptr(seeding->changes)) < 0)
        return err_set(seeding->err, -ENOMEM, "out of memory");
    seeding->bytes = 0;
    return tenant_ask(seeding->ctx, seeding->object, "POST", path, body, NULL, seeding->report, seeding->err);
}

static int add_change(struct seeding *seeding, const char *key, const char *value, size_t len) {
    struct json *change cleanup(json_freep) = json_object_new();
    if (!seeding->changes && !(seeding->changes = json_array_new()))
        return -ENOMEM;
    if (json_set_text(change, "op", "put") < 0 || json_set_text(change, "key", key) < 0 ||
        json_set_bytes(change, seeding->binary ? "value_base64" : "value", value, len) < 0 ||
        json_append(seeding->changes, take_ptr(change)) < 0)
        return -ENOMEM;
    seeding->bytes += strlen(key) + len;
    return json_length(seeding->changes) >= BATCH_MAX || seeding->bytes >= BATCH_BYTES_MAX ? flush(seeding) : 0;
}

static int take_seed(const char *key, const struct json *unused, void *arg) {
    struct seeding *seeding = arg;
    const struct json *group = kube_value(seeding->object, seeding->binary ? "spec.binaryData" : "spec.data");
    size_t len = 0;
    uint64_t digest = 0;
    (void)unused;
    const char *value = json_get_bytes(group, key, &len);
    if (!value || seeding->now_count >= SEEDS_MAX)
        return 0; // the schema lets neither happen
    seeding->result = digest_of(seeding->binary, key, value, len, &digest);
    if (seeding->result == 0)
        seeding->now[seeding->now_count++] = digest;
    bool known = bsearch(&digest, seeding->before, seeding->before_count, sizeof digest, compare) != NULL;
    if (seeding->result == 0 && !known)
        seeding->result = add_change(seeding, key, value, len);
    return seeding->result;
}

static int read_before(struct seeding *seeding, bool all) {
    const char *text = kube_text(seeding->object, "status.seeds.digests");
    char *bytes cleanup_free = NULL;
    size_t len = 0;
    seeding->now = mem_array(SEEDS_MAX, sizeof *seeding->now);
    seeding->before = mem_array(SEEDS_MAX, sizeof *seeding->before);
    if (!seeding->now || !seeding->before)
        return err_set(seeding->err, -ENOMEM, "out of memory");
    if (all || !text || base64_decode(text, strlen(text), &bytes, &len) < 0)
        return 0;
    seeding->before_count = len / sizeof(uint64_t) < SEEDS_MAX ? len / sizeof(uint64_t) : SEEDS_MAX;
    memcpy(seeding->before, bytes, seeding->before_count * sizeof(uint64_t));
    qsort(seeding->before, seeding->before_count, sizeof(uint64_t), compare);
    return 0;
}

static struct json *make_seeds(const struct seeding *seeding) {
    struct json *seeds cleanup(json_freep) = json_object_new();
    char *text cleanup_free = base64_encode(seeding->now, seeding->now_count * sizeof(uint64_t));
    int64_t generation = json_get_int(json_get(seeding->object, "metadata"), "generation", 0);
    bool bad = !seeds || !text || json_set_int(seeds, "generation", generation) < 0 ||
               json_set_text(seeds, "digests", text) < 0;
    return bad ? NULL : take_ptr(seeds);
}

static void seeding_done(struct seeding *seeding) {
    free(seeding->before);
    free(seeding->now);
    seeding->changes = json_free(seeding->changes);
}

static int write_all(struct seeding *seeding, bool all) {
    static const char *const groups[] = {"spec.data", "spec.binaryData"};
    int r = read_before(seeding, all);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(groups); i++) {
        const struct json *group = kube_value(seeding->object, groups[i]);
        seeding->binary = i == 1;
        if (group && json_each(group, take_seed, seeding))
            r = seeding->result;
    }
    return r == 0 ? flush(seeding) : r;
}

int seeds_write(const struct operator_context *ctx, const struct json *object, const char *path, bool all,
                struct json **ret_seeds, struct tenant_report *report, struct err *err) {
    struct json *whole cleanup(json_freep) = NULL;
    struct seeding seeding cleanup(seeding_done) = {.ctx = ctx, .report = report, .err = err};
    int r = kube_get(ctx->kube, path, &whole, err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    const char *uid = kube_text(whole, "metadata.uid");
    if (kube_is_ending(whole) || !str_eq(uid, kube_text(object, "metadata.uid")))
        return err_set(err, -EAGAIN, "the object was changed meanwhile");
    seeding.object = whole;
    r = write_all(&seeding, all);
    if (r == -ENOMEM)
        return err_set(err, r, "out of memory");
    if (r == 0 && !(*ret_seeds = make_seeds(&seeding)))
        return err_set(err, -ENOMEM, "out of memory");
    return r;
}
