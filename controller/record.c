// SPDX-License-Identifier: Apache-2.0
#include "controller/record.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

struct record *record_new(enum shared_kind kind, const char *name) {
    struct record *record cleanup(record_freep) = mem_zalloc(sizeof *record);
    if (!record)
        return NULL;
    record->kind = kind;
    record->uid = record->gid = -1;
    hash_id(name, strlen(name), record->key);
    record->name = mem_strdup(name);
    return record->name ? take_ptr(record) : NULL;
}

static void list_free(char **list, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

struct record *record_free(struct record *record) {
    if (!record)
        return NULL;
    for (size_t i = 0; i < record->node_count; i++)
        free(record->nodes[i].node);
    free(record->nodes);
    list_free(record->members, record->member_count);
    list_free(record->pins, record->pin_count);
    free(record->name);
    free(record->location);
    free(record->sub_dir);
    free(record->source_id);
    free(record->group_id);
    node_group_done(&record->group);
    free(record);
    return NULL;
}

int record_list_add(char ***list, size_t *count, const char *text) {
    for (size_t i = 0; i < *count; i++)
        if (str_eq((*list)[i], text))
            return 0;
    char **grown = mem_realloc(*list, *count + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    *list = grown;
    grown[*count] = mem_strdup(text);
    if (!grown[*count])
        return -ENOMEM;
    (*count)++;
    return 0;
}

bool record_list_remove(char **list, size_t *count, const char *text) {
    for (size_t i = 0; i < *count; i++) {
        if (!str_eq(list[i], text))
            continue;
        free(list[i]);
        memmove(&list[i], &list[i + 1], (*count - i - 1) * sizeof *list);
        (*count)--;
        return true;
    }
    return false;
}

int record_set_text(char **target, const char *text) {
    char *copy = mem_strdup(text);
    if (text && !copy)
        return -ENOMEM;
    free(*target);
    *target = copy;
    return 0;
}
