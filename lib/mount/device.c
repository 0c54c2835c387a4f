// SPDX-License-Identifier: Apache-2.0
// The verb that mounts a block device, by libmount: options as mount(8) takes them.
#include <errno.h>
#include <libmount/libmount.h>

#include "lib/mount/verbs.h"

// Arguments: device, target, type, options.
int verb_device(char **args, struct child_reply *reply, struct err *err) {
    (void)reply;
    struct libmnt_context *context = mnt_new_context();
    if (!context)
        return err_set(err, -ENOMEM, "out of memory");
    int r = mnt_context_set_source(context, args[0]);
    if (r == 0)
        r = mnt_context_set_target(context, args[1]);
    if (r == 0)
        r = mnt_context_set_fstype(context, args[2]);
    if (r == 0 && *args[3])
        r = mnt_context_set_options(context, args[3]);
    if (r == 0)
        r = mnt_context_disable_helpers(context, 1);
    if (r == 0)
        r = mnt_context_disable_mtab(context, 1);
    if (r == 0)
        r = mnt_context_mount(context);
    if (r > 0 || (r < 0 && mnt_context_syscall_called(context)))
        r = -mnt_context_get_syscall_errno(context);
    mnt_free_context(context);
    if (r == -ENOSYS) // so says XFS of sectors that it cannot use; the caller would read that there is no mount(2)
        r = -EIO;
    return r < 0 ? err_set(err, r, "mount of %s (%s, options '%.80s'): %s", args[0], args[2], args[3], err_name(r)) : 0;
}
