// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/status.h"

#include <errno.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/nfs/protocol.h"

// The codes up to 10007 are the same in all three protocols (RFC 1813 2.6, RFC 1813 appendix I, RFC 7530 13).
static const struct status_row {
    uint32_t status;
    int error;
} rows[] = {
    {NFS3_OK, 0},
    {NFS3ERR_PERM, -EPERM},
    {NFS3ERR_NOENT, -ENOENT},
    {NFS3ERR_IO, -EIO},
    {NFS3ERR_NXIO, -ENXIO},
    {NFS3ERR_ACCES, -EACCES},
    {NFS3ERR_EXIST, -EEXIST},
    {NFS3ERR_XDEV, -EXDEV},
    {NFS3ERR_NODEV, -ENODEV},
    {NFS3ERR_NOTDIR, -ENOTDIR},
    {NFS3ERR_ISDIR, -EISDIR},
    {NFS3ERR_INVAL, -EINVAL},
    {NFS3ERR_FBIG, -EFBIG},
    {NFS3ERR_NOSPC, -ENOSPC},
    {NFS3ERR_ROFS, -EROFS},
    {NFS3ERR_MLINK, -EMLINK},
    {NFS3ERR_NAMETOOLONG, -ENAMETOOLONG},
    {NFS3ERR_NOTEMPTY, -ENOTEMPTY},
    {NFS3ERR_DQUOT, -EDQUOT},
    {NFS3ERR_STALE, -ESTALE},
    {NFS3ERR_REMOTE, -EREMOTE},
    {NFS3ERR_BADHANDLE, -EBADF},
    {NFS3ERR_NOT_SYNC, -EAGAIN},
    {NFS3ERR_BAD_COOKIE, -EBADE},
    {NFS3ERR_NOTSUPP, -EOPNOTSUPP},
    {NFS3ERR_TOOSMALL, -EMSGSIZE},
    {NFS3ERR_SERVERFAULT, -EREMOTEIO},
    {NFS3ERR_BADTYPE, -EINVAL},
    {NFS3ERR_JUKEBOX, -EAGAIN},
    {NFS4ERR_SAME, -EISDIR},      // from NVERIFY that the object is no directory
    {NFS4ERR_NOT_SAME, -ENOTDIR}, // from VERIFY that it is one
    {NFS4ERR_LOCKED, -EAGAIN},
    {NFS4ERR_GRACE, -EAGAIN},
    {NFS4ERR_FHEXPIRED, -ESTALE},
    {NFS4ERR_SHARE_DENIED, -EACCES},
    {NFS4ERR_WRONGSEC, -EACCES},
    {NFS4ERR_RESOURCE, -EAGAIN},
    {NFS4ERR_MOVED, -EREMOTE},
    {NFS4ERR_NOFILEHANDLE, -EBADF},
    {NFS4ERR_MINOR_VERS_MISMATCH, -EPROTONOSUPPORT},
    {NFS4ERR_SYMLINK, -EINVAL},
    {NFS4ERR_ATTRNOTSUPP, -EOPNOTSUPP},
    {NFS4ERR_BADOWNER, -EINVAL},
    {NFS4ERR_BADCHAR, -EINVAL},
    {NFS4ERR_BADNAME, -EINVAL},
    {NFS4ERR_FILE_OPEN, -EBUSY},
    {NFS4ERR_OPENMODE, -EACCES},
};

int nfs_status_error(uint32_t status) {
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].status == status)
            return rows[i].error;
    return -EREMOTEIO;
}
