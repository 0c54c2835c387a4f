// SPDX-License-Identifier: Apache-2.0
#include "sidecar/queue_json.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

#define DAY_S (24 * 3600)
#define DEDUP_MAX_S DAY_S
#define VISIBILITY_MAX_S (12 * 3600)
#define DELAY_MAX_S (15 * 60)
#define RETENTION_MAX_S (365 * DAY_S)
#define DEDUP_ID_MAX 1024 // bytes

int queue_read_settings(const struct json *object, struct queue_settings *ret, struct err *err) {
    int64_t max_receives = -1;
    int r = body_seconds(object, "dedup", DEDUP_MAX_S, -1, &ret->dedup_ms, err);
    if (r == 0)
        r = body_seconds(object, "visibility", VISIBILITY_MAX_S, -1, &ret->visibility_ms, err);
    if (r == 0)
        r = body_seconds(object, "delay", DELAY_MAX_S, -1, &ret->delay_ms, err);
    if (r == 0)
        r = body_seconds(object, "retention", RETENTION_MAX_S, -1, &ret->retention_ms, err);
    if (r == 0)
        r = body_number(object, "max_receives", 0, 1000000, -1, &max_receives, err);
    ret->max_receives = (int32_t)max_receives;
    ret->dead_letter = json_get_text(object, "dead_letter");
    if (r == 0 && json_get(object, "dead_letter") && !ret->dead_letter)
        r = err_set(err, -EINVAL, "'dead_letter' is no name of a queue, nor \"\" for none");
    if (r == 0 && !str_empty(ret->dead_letter))
        r = label_check("queue", ret->dead_letter, strlen(ret->dead_letter), err);
    return r;
}

struct json *queue_info_json(const struct queue_info *info) {
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"length", info->ready + info->leased + info->delayed},
        {"ready", info->ready},
        {"leased", info->leased},
        {"delayed", info->delayed},
        {"bytes", info->bytes},
        {"oldest_ms", info->oldest_ms},
        {"dedup_ms", info->settings.dedup_ms},
        {"visibility_ms", info->settings.visibility_ms},
        {"delay_ms", info->settings.delay_ms},
        {"retention_ms", info->settings.retention_ms},
        {"max_receives", info->settings.max_receives},
    };
    struct json *object cleanup(json_freep) = json_object_new();
    int r = json_set_text(object, "name", info->name);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(numbers); i++)
        r = json_set_int(object, numbers[i].name, numbers[i].value);
    if (r == 0)
        r = json_set_text(object, "dead_letter", info->settings.dead_letter ? info->settings.dead_letter : "");
    return r == 0 ? take_ptr(object) : NULL;
}

struct json *queue_delivery_json(const struct queue_delivery *delivery, enum queue_receive_mode mode) {
    struct json *object cleanup(json_freep) = json_object_new();
    int r = json_set_bytes(object, "message", delivery->body, delivery->len);
    if (r == 0)
        r = json_set_int(object, "id", delivery->id);
    if (r == 0)
        r = json_set_int(object, "sent_ms", delivery->sent_ms);
    if (r == 0)
        r = json_set_int(object, "receives", delivery->receives);
    if (r == 0 && mode == QUEUE_LEASE)
        r = json_set_text(object, "receipt", delivery->receipt);
    return r == 0 ? take_ptr(object) : NULL;
}

static size_t count_characters(const char *text, size_t len) {
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

int queue_read_message(const struct json *object, struct queue_message *ret, struct err *err) {
    *ret = (struct queue_message){.delay_ms = -1};
    ret->body.data = json_get_bytes(object, "message", &ret->body.len);
    if (!ret->body.data)
        return err_set(err, -EINVAL, "'message' is missing or no text");
    size_t characters = count_characters(ret->body.data, ret->body.len);
    if (characters > QUEUE_MESSAGE_MAX)
        return err_set(err, -E2BIG, "the message has %zu characters; the limit is %d", characters, QUEUE_MESSAGE_MAX);
    ret->dedup_id.data = json_get_bytes(object, "dedup_id", &ret->dedup_id.len);
    if (json_get(object, "dedup_id") && (ret->dedup_id.len == 0 || ret->dedup_id.len > DEDUP_ID_MAX))
        return err_set(err, -EINVAL, "'dedup_id' is no text of 1 to %d bytes", DEDUP_ID_MAX);
    return body_seconds(object, "delay", DELAY_MAX_S, -1, &ret->delay_ms, err);
}

int queue_read_receipts(const struct json *object, const char ***ret, size_t *ret_count, struct err *err) {
    const struct json *list = json_get(object, "receipts");
    size_t count = json_length(list);
    if (count == 0 || count > QUEUE_BATCH_MAX || json_is_an_object(list))
        return err_set(err, -EINVAL, "'receipts' is no list of 1 to %d receipts", QUEUE_BATCH_MAX);
    const char **texts = mem_array(count, sizeof *texts);
    if (!texts)
        return err_set(err, -ENOMEM, "out of memory; try again later");
    *ret = texts;
    *ret_count = count;
    for (size_t i = 0; i < count; i++) {
        texts[i] = json_text(json_at(list, i));
        if (!texts[i])
            return err_set(err, -EINVAL, "receipts[%zu] is no text", i);
    }
    return 0;
}
