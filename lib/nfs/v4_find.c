// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/share.h"
#include <errno.h>
int nfs_v4_find(const struct nfs_options *o, const struct sockaddr_storage *a, int64_t d, struct share_target *r,
                struct err *e) {
    (void)o;
    (void)a;
    (void)d;
    (void)r;
    return err_set(e, -EPROTONOSUPPORT, "NFS server '%s': version 4 is not built in", o->server);
}
int nfs_v4_attach(struct conn *c, const struct nfs_cred *r) {
    (void)c;
    (void)r;
    return 0;
}
void nfs_v4_detach(struct conn *c) {
    (void)c;
}
