// SPDX-License-Identifier: Apache-2.0
// StorageClass parameters of the class "local".
#include <stddef.h>

#include "csi/local_volume.h"
#include "lib/base/fields.h"
#include "lib/base/str.h"

static const char *const allocations[] = {"auto", "image", "quota", "device", NULL};
static const char *const provisionings[] = {"thin", "full", NULL};
static const char *const on_deletes[] = {"delete", "retain", NULL};

#define AT(member) offsetof(struct local_parameters, member)
static const struct field rows[] = {
    {"pool", FIELD_TEXT, AT(pool), NULL, "NAME", "pool of the node (default: the only one)",
     .max = LOCAL_POOL_SIZE - 1},
    {"allocation", FIELD_CHOICE, AT(allocation), "auto", "KIND",
     "how space is set apart: an image on a loop device, a directory with a quota, or a whole disk (default: as the "
     "pool does)",
     .choices = allocations},
    {"provisioning", FIELD_CHOICE, AT(provisioning), "thin", "WHEN",
     "thin: blocks are taken when they are written; full: all at once", .choices = provisionings},
    {"onDelete", FIELD_CHOICE, AT(on_delete), "delete", "WHAT",
     "what becomes of the data: delete, or retain in the pool's .stowage/retained", .choices = on_deletes},
};
static const struct fields fields = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "parameter"};

int local_parameters_parse(const struct string_map *parameters, struct local_parameters *ret, struct err *err) {
    *ret = (struct local_parameters){0};
    int r = fields_defaults(&fields, ret, err);
    for (size_t i = 0; r == 0 && i < parameters->count; i++)
        if (!str_starts(parameters->items[i].key, "csi.storage.k8s.io/")) // what the orchestrator adds
            r = fields_set(&fields, ret, parameters->items[i].key, parameters->items[i].value, err);
    if (r < 0)
        local_parameters_done(ret);
    return r;
}

void local_parameters_done(struct local_parameters *parameters) {
    fields_done(&fields, parameters);
}

int local_on_delete_parse(const struct string_map *parameters, int *ret, struct err *err) {
    for (size_t i = 0; i < parameters->count; i++) {
        struct local_parameters one cleanup(local_parameters_done) = {0};
        int r = fields_set(&fields, &one, parameters->items[i].key, parameters->items[i].value, err);
        if (r < 0)
            return r;
        *ret = one.on_delete; // csi/ lets no other parameter through
    }
    return 0;
}

const char *local_allocation_name(const struct local_parameters *parameters) {
    return parameters->allocation > 0 ? allocations[parameters->allocation] : NULL;
}

void local_parameters_print_help(void) {
    fields_print_help(&fields);
}
