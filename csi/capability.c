// SPDX-License-Identifier: Apache-2.0
// How a volume is to be used: from the message, and whether the class serves it.
#include <errno.h>

#include "csi/messages.h"
#include "lib/base/str.h"

static int mode_read(const Csi__V1__VolumeCapability *message, const char *field, enum access_mode *ret,
                     struct err *err) {
    if (!message->access_mode || message->access_mode->mode == 0)
        return err_set(err, -EINVAL, "field '%s.access_mode' is missing", field);
    int mode = (int)message->access_mode->mode;
    if (mode < 0 || mode > ACCESS_SINGLE_NODE_MULTI_WRITER)
        return err_set(err, -EINVAL, "field '%s.access_mode' is %d, which is not known", field, mode);
    *ret = (enum access_mode)mode;
    return 0;
}

int capability_read(const Csi__V1__VolumeCapability *message, const char *field, struct volume_capability *ret,
                    struct err *err) {
    *ret = (struct volume_capability){0};
    switch (message->access_type_case) {
    case CSI__V1__VOLUME_CAPABILITY__ACCESS_TYPE_BLOCK:
        ret->block = true;
        break;
    case CSI__V1__VOLUME_CAPABILITY__ACCESS_TYPE_MOUNT:
        ret->fs_type = str_empty(message->mount->fs_type) ? NULL : message->mount->fs_type;
        ret->mount_flags = (const char *const *)message->mount->mount_flags;
        ret->mount_flag_count = message->mount->n_mount_flags;
        ret->mount_group = str_empty(message->mount->volume_mount_group) ? NULL : message->mount->volume_mount_group;
        break;
    default:
        return err_set(err, -EINVAL, "field '%s' says neither 'mount' nor 'block'", field);
    }
    return mode_read(message, field, &ret->mode, err);
}

int capabilities_read(const struct csi_call *call, Csi__V1__VolumeCapability *const *messages, size_t count,
                      const struct volume_capability **ret, struct err *err) {
    struct volume_capability *list = arena_array(call->arena, count, sizeof *list);
    if (!list)
        return err_set(err, -ENOMEM, "no memory for the call; try again");
    for (size_t i = 0; i < count; i++) {
        int r = capability_read(messages[i], "volume_capabilities", &list[i], err);
        if (r < 0)
            return r;
    }
    *ret = list;
    return 0;
}

int capabilities_check(const struct csi_call *call, const struct volume_capability *capabilities, size_t count,
                       const struct string_map *parameters, struct err *err) {
    const struct volume_class *class = call->class;
    for (size_t i = 0; i < count; i++) {
        int r = class->volumes->supports(class->volumes_self, &capabilities[i], parameters, err);
        if (r < 0)
            return r;
    }
    return 0;
}
