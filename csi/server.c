// SPDX-License-Identifier: Apache-2.0
#include "csi/server.h"

#include <errno.h>

#include "csi/status.h"
#include "csi/table.h"
#include "lib/base/mem.h"

struct csi_server {
    struct rpc_server *rpc;
    const struct rpc_method *methods[CSI_RPC_COUNT + 1];
};

int csi_server_start(const struct csi_server_options *options, struct csi_server **ret, struct err *err) {
    struct csi_server *server = mem_zalloc(sizeof *server);
    if (!server)
        return err_set(err, -ENOMEM, "no memory for the CSI server");
    csi_table_of(options->class, server->methods);
    struct rpc_server_options rpc = {
        .socket = options->socket,
        .methods = server->methods,
        .self = (void *)(uintptr_t)options->class, // handlers read it only
        .code_of = csi_code_of,
        .object_label = "volume",
        .threads = options->threads,
        .deadline_s = options->deadline_s,
    };
    int r = rpc_server_start(&rpc, &server->rpc, err);
    if (r < 0)
        free(server);
    else
        *ret = server;
    return r;
}

struct csi_server *csi_server_stop(struct csi_server *server, unsigned grace_ms) {
    if (!server)
        return NULL;
    (void)rpc_server_stop(server->rpc, grace_ms);
    free(server);
    return NULL;
}
