// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/tool.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/mount/child.h"

static bool find(const char *name, char ret[static TOOL_PATH_SIZE]) {
    static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        (void)snprintf(ret, TOOL_PATH_SIZE, "%s/%s", folders[i], name);
        if (access(ret, X_OK) == 0)
            return true;
    }
    return false;
}

int tool_run(const struct tool *tool, int *ret_exit, struct err *err) {
    char program[TOOL_PATH_SIZE];
    struct child_reply reply = {0};
    if (!find(tool->name, program))
        return err_set(err, -ENOEXEC, "%s is missing on this node; install %s", tool->name, tool->package);
    char *what cleanup_free = mem_printf("%s of %s", tool->name, tool->subject);
    if (!what)
        return err_set(err, -ENOMEM, "out of memory");
    const struct child_request request = {.program = program,
                                          .args = tool->args,
                                          .key = what,
                                          .what = what,
                                          .deadline_ns = tool->deadline_ns,
                                          .cancel = tool->cancel};
    int r = child_run(&request, &reply, err);
    if (ret_exit)
        *ret_exit = (int)reply.numbers[0];
    if (r != -EIO)
        return r;
    return err_set(err, -EIO, "%.20s of %.150s failed with exit code %d; its messages are in this node's log",
                   tool->name, tool->subject, (int)reply.numbers[0]);
}
