// SPDX-License-Identifier: Apache-2.0
#include "tests/support/volume_kit.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "tests/support/cm.h"

int volume_kit_setup(void **state) {
    struct volume_kit *kit = mem_zalloc(sizeof *kit);
    assert_non_null(kit);
    kit->store = fake_nfs_store_new();
    fixture_start(&kit->f, kit->store, NULL);
    *state = kit;
    return 0;
}

int volume_kit_teardown(void **state) {
    struct volume_kit *kit = *state;
    fixture_stop(&kit->f);
    kit->store = fake_nfs_store_free(kit->store);
    free(kit);
    return 0;
}

char *volume_kit_make_with(struct fixture *f, const char *name, const char *key, const char *value) {
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    if (fixture_create(f, name, key, value, &info, &err) != 0)
        fail_msg("create '%s': %s", name, err_text(&err));
    char *id = take_ptr(info.id);
    volume_info_done(&info);
    return id;
}

char *volume_kit_make(struct fixture *f, const char *name) {
    return volume_kit_make_with(f, name, NULL, NULL);
}

int volume_kit_destroy(struct fixture *f, const char *id, struct err *err) {
    return volume_ops.destroy(f->volumes, &f->ctx, id, err);
}

int volume_kit_collect(const struct volume_info *info, void *arg) {
    struct str *out = arg;
    (void)str_printf(out, "%s%s ", info->id + 28, info->abnormal ? "!" : "");
    return 0;
}
