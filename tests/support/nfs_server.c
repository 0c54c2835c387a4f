// SPDX-License-Identifier: Apache-2.0
#include "tests/support/nfs_server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *command) {
    int status = system(command);
    return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int read_env(struct nfs_server *server) {
    char path[96], line[512];
    (void)snprintf(path, sizeof path, "%s/env", server->dir);
    FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    while (fgets(line, sizeof line, f)) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        long number = strtol(value, NULL, 10);
        if (strcmp(line, "NFS_PORT") == 0)
            server->nfs_port = (uint16_t)number;
        else if (strcmp(line, "MNT_PORT") == 0)
            server->mount_port = (uint16_t)number;
        else if (strcmp(line, "NFS_PID") == 0)
            server->pid = (pid_t)number;
    }
    (void)fclose(f);
    return server->pid > 0 ? 0 : -EIO;
}

static int start(struct nfs_server *server) {
    char command[512], ports[32] = "";
    if (server->nfs_port)
        (void)snprintf(ports, sizeof ports, "%u %u", server->nfs_port, server->mount_port);
    (void)snprintf(command, sizeof command, "bash tests/support/nfs-server.sh start %s %s/export %s", server->dir,
                   server->dir, ports);
    int r = run(command);
    return r < 0 ? r : read_env(server);
}

int nfs_server_start(struct nfs_server *server) {
    *server = (struct nfs_server){.dir = "/tmp/stowage-nfs-XXXXXX"};
    if (run("command -v ganesha.nfsd >/dev/null && test \"$(id -u)\" = 0") < 0) {
        (void)printf("skipped: nfs-ganesha is not installed, or the user is not root\n");
        return -ENOENT;
    }
    if (!mkdtemp(server->dir))
        return -errno;
    return start(server);
}

int nfs_server_restart(struct nfs_server *server) {
    char command[160];
    (void)kill(server->pid, SIGKILL);
    (void)snprintf(command, sizeof command, "bash tests/support/nfs-server.sh stop %s", server->dir);
    (void)run(command);
    return start(server);
}

static bool stands_still(pid_t pid) {
    char command[128]; // the state is the field after the name in parentheses (proc(5))
    (void)snprintf(command, sizeof command, "! sed 's/.*) //' /proc/%d/task/*/stat | grep -qv '^[TtZX]'", (int)pid);
    return run(command) == 0;
}

void nfs_server_freeze(const struct nfs_server *server) {
    (void)kill(server->pid, SIGSTOP); // takes effect on each thread by and by
    while (!stands_still(server->pid))
        ;
}

void nfs_server_thaw(const struct nfs_server *server) {
    (void)kill(server->pid, SIGCONT);
}

void nfs_server_stop(struct nfs_server *server) {
    char command[256];
    (void)snprintf(command, sizeof command, "bash tests/support/nfs-server.sh stop %s; rm -rf %s", server->dir,
                   server->dir);
    (void)run(command);
}

struct nfs_options nfs_server_options(const struct nfs_server *server, int version, unsigned connections) {
    return (struct nfs_options){.server = "127.0.0.1",
                                .path = "/export",
                                .version = version,
                                .nfs_port = server->nfs_port,
                                .mount_port = server->mount_port,
                                .connections = connections};
}
