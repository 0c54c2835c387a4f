// SPDX-License-Identifier: Apache-2.0
// The directory of a volume: made, given its mode and owner, moved out of the way.
//
// Why:     several volumes may share a directory, or lie one below the other, as with csi-driver-nfs. The one that
//          comes second marks the directory; removal of a marked one looks at every record first and leaves data that others use.
#pragma once

#include "controller/record.h"
#include "controller/share.h"

// mkdir -p of record->sub_dir. *ret_fresh: the last component was made just now. `mode`, `uid` and `gid` of the record
// are set exactly. An existing directory is marked as shared.
int volume_dir_make(struct share *share, const struct record *record, int64_t deadline_ns, struct nfs_fh *ret,
                    bool *ret_fresh, struct err *err) must_check;
// Removes the last component again, if it is empty. What cannot be removed is used by the next create.
void volume_dir_unmake(struct share *share, const struct record *record, int64_t deadline_ns);
// Gives an existing directory the record's mode and owner, where they differ from `attr` (NULL: not known).
int volume_dir_set(struct share *share, const struct record *record, const struct nfs_fh *dir,
                   const struct nfs_attr *attr, int64_t deadline_ns, struct err *err) must_check;
// 1 no entry, 0 some, or -errno.
int volume_dir_is_empty(struct share *share, const struct nfs_fh *dir, int64_t deadline_ns, struct err *err) must_check;

// Moves the directory to trash/ (its new name there in ret_name) or to archived-<name> beside it. `ret_name` is empty
// when there is nothing to remove: it is gone already, or another volume uses it or one below it (then it is logged).
int volume_dir_trash(struct share *share, const struct record *record, int64_t deadline_ns,
                     char ret_name[static NFS_NAME_MAX + 1], struct err *err) must_check;
int volume_dir_archive(struct share *share, const struct record *record, int64_t deadline_ns,
                       struct err *err) must_check;
