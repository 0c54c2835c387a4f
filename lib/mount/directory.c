// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/directory.h"

#include <errno.h>

#include "lib/base/mem.h"

int directory_copy(const char *from, const char *to, int64_t deadline_ns, const atomic_bool *cancel, struct err *err) {
    char *contents cleanup_free = mem_printf("%s/.", from);
    if (!contents)
        return err_set(err, -ENOMEM, "out of memory");
    const char *args[] = {"--archive", "--reflink=auto", "--sparse=auto", "--no-target-directory", "--", contents, to,
                          NULL};
    const struct tool tool = {.name = "cp",
                              .package = "coreutils",
                              .args = args,
                              .subject = from,
                              .deadline_ns = deadline_ns,
                              .cancel = cancel};
    return tool_run(&tool, NULL, err);
}

int directory_remove(const char *path, int64_t deadline_ns, struct err *err) {
    const char *args[] = {"--recursive", "--force", "--one-file-system", "--", path, NULL};
    const struct tool tool = {
        .name = "rm", .package = "coreutils", .args = args, .subject = path, .deadline_ns = deadline_ns};
    return tool_run(&tool, NULL, err);
}
