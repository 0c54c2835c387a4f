// SPDX-License-Identifier: Apache-2.0
// For LD_PRELOAD into nginx: a file that is renamed into place is first brought to stable storage, and its directory after
// that. nginx's DAV module syncs nothing; with this it makes the promise that Stowage's 2xx makes.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_path(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int r = fsync(fd);
    (void)close(fd);
    return r;
}

int rename(const char *from, const char *to) {
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", to);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    if (sync_path(from, O_RDONLY) < 0 || syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to) < 0)
        return -1;
    return slash ? sync_path(folder, O_RDONLY | O_DIRECTORY) : 0;
}
