// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/sdk_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

// The SDK fails without a token; this one opens nothing, the sidecar sends the pod's.
#define LOCAL_TOKEN "stowage-local"

static int write_file(const char *folder, const char *name, const char *text, struct err *err) {
    char *path cleanup_free = mem_printf("%s/%s", folder, name),
               *partial cleanup_free = mem_printf("%s/.%s", folder, name);
    if (!path || !partial)
        return err_set(err, -ENOMEM, "out of memory");
    int fd cleanup_close = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    ssize_t len = (ssize_t)strlen(text);
    // The application may run as any user.
    if (fd < 0 || fchmod(fd, 0644) < 0 || write(fd, text, (size_t)len) != len || rename(partial, path) < 0)
        return err_set(err, -errno, "cannot write %.150s: %s", path, err_name(errno));
    return 0;
}

int sdk_files_write(const char *folder, const char *workspace, const char *url, struct err *err) {
    struct str text cleanup_str = {0};
    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        return err_set(err, -errno, "cannot make the folder %.150s: %s", folder, err_name(errno));
    (void)str_printf(&text,
                     "workspaces:\n  '%s':\n    id: '%s'\n    url: '%s'\n    display_name: '%s'\n    auth_token: '%s'\n"
                     "current_workspace: '%s'\n",
                     workspace, workspace, url, workspace, LOCAL_TOKEN, workspace);
    if (text.failed)
        return err_set(err, -ENOMEM, "out of memory");
    int r = write_file(folder, "workspace_info.yaml", text.data, err);
    // "When was PyPI asked last?" In the year 2286, so never again.
    return r < 0 ? r : write_file(folder, "latest_version_check", "9999999999", err);
}
