// SPDX-License-Identifier: Apache-2.0
// File systems that this machine has mounted, as shares: what --origin NAME=/path says.
//
// Why:     volumes of node groups may lie on CephFS, Lustre or GlusterFS; the controller still mounts nothing, but is given
//          what somebody else mounted. Volumes name an origin, never a path of a machine.
// Owns:    the list. Opening may be held by a file system that does not answer: it runs on a thread that is given up then,
//          one an origin, and owns what it needs.
// Threads: any.
// Fails:   -EINVAL: no such origin; -EHOSTUNREACH: not mounted, or no answer by the deadline; -EPERM, -EACCES: rights that
//          this process lacks.
#pragma once

#include "csi/shared_volume.h"
#include "lib/base/fields.h"
#include "lib/nfs/nfs.h"

int origins_check(const char *value, struct err *err) must_check; // is it NAME=/path?

struct origins;
int origins_new(const struct field_list *list, struct origins **ret, struct err *err) must_check;
struct origins *origins_free(struct origins *origins);
DEFINE_CLEANUP(origins)

// The directory `path` ("/" is all) of the origin `name`. Symbolic links in it are not followed.
int origins_open(struct origins *origins, const char *name, const char *path, const struct nfs_cred *cred,
                 int64_t deadline_ns, struct nfs_share **ret, struct err *err) must_check;
