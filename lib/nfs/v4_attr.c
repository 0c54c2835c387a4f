// SPDX-License-Identifier: Apache-2.0
// fattr4: a bitmap of attribute numbers and their values in that order (RFC 7530 5).
#include <stdio.h>

#include "lib/nfs/owner.h"
#include "lib/nfs/protocol.h"
#include "lib/nfs/v4.h"

enum { ATTRS_BYTES_MAX = 8 * 1024, OWNER_MAX = 1024, BITMAP_WORDS_MAX = 8, WORD_BITS = 32 };
#define BIT(n) (UINT32_C(1) << ((n) % WORD_BITS))

static const uint32_t attr_word0 = BIT(FATTR4_TYPE) | BIT(FATTR4_SIZE) | BIT(FATTR4_FSID) | BIT(FATTR4_FILEID);
static const uint32_t attr_word1 = BIT(FATTR4_MODE) | BIT(FATTR4_NUMLINKS) | BIT(FATTR4_OWNER) |
                                   BIT(FATTR4_OWNER_GROUP) | BIT(FATTR4_RAWDEV) | BIT(FATTR4_SPACE_USED) |
                                   BIT(FATTR4_TIME_ACCESS) | BIT(FATTR4_TIME_METADATA) | BIT(FATTR4_TIME_MODIFY);

void v4_put_bitmap(struct xdr_out *out, uint32_t word0, uint32_t word1) {
    xdr_put_u32(out, 2);
    xdr_put_u32(out, word0);
    xdr_put_u32(out, word1);
}

void v4_put_attr_bitmap(struct xdr_out *out) {
    v4_put_bitmap(out, attr_word0, attr_word1);
}

void v4_put_dirent_bitmap(struct xdr_out *out, bool attr) {
    if (attr)
        v4_put_bitmap(out, attr_word0 | BIT(FATTR4_RDATTR_ERROR) | BIT(FATTR4_FILEHANDLE), attr_word1);
    else
        v4_put_bitmap(out, BIT(FATTR4_RDATTR_ERROR) | BIT(FATTR4_FILEID), 0);
}

void v4_put_fsstat_bitmap(struct xdr_out *out) {
    v4_put_bitmap(out, BIT(FATTR4_FILES_AVAIL) | BIT(FATTR4_FILES_FREE) | BIT(FATTR4_FILES_TOTAL),
                  BIT(FATTR4_SPACE_AVAIL) | BIT(FATTR4_SPACE_FREE) | BIT(FATTR4_SPACE_TOTAL));
}

void v4_put_limits_bitmap(struct xdr_out *out) {
    v4_put_bitmap(out, BIT(FATTR4_TYPE) | BIT(FATTR4_MAXREAD) | BIT(FATTR4_MAXWRITE), 0);
}

// Values. -------------------------------------------------------------------------------------------------------------

static void put_number_text(struct xdr_out *out, uint32_t id) {
    char text[16];
    (void)snprintf(text, sizeof text, "%u", id);
    xdr_put_text(out, text);
}

static void put_set_time(struct xdr_out *out, bool client, const struct timespec *t) {
    xdr_put_u32(out, client ? SET_TO_CLIENT_TIME4 : SET_TO_SERVER_TIME4);
    if (!client)
        return;
    xdr_put_u64(out, (uint64_t)t->tv_sec);
    xdr_put_u32(out, (uint32_t)t->tv_nsec);
}

void v4_put_fattr(struct xdr_out *out, const struct nfs_setattr *set, unsigned mask) {
    uint32_t word0 = mask & NFS_SET_SIZE ? BIT(FATTR4_SIZE) : 0, word1 = 0;
    word1 |= mask & NFS_SET_MODE ? BIT(FATTR4_MODE) : 0;
    word1 |= mask & NFS_SET_UID ? BIT(FATTR4_OWNER) : 0;
    word1 |= mask & NFS_SET_GID ? BIT(FATTR4_OWNER_GROUP) : 0;
    word1 |= mask & (NFS_SET_ATIME | NFS_SET_ATIME_NOW) ? BIT(FATTR4_TIME_ACCESS_SET) : 0;
    word1 |= mask & (NFS_SET_MTIME | NFS_SET_MTIME_NOW) ? BIT(FATTR4_TIME_MODIFY_SET) : 0;
    v4_put_bitmap(out, word0, word1);
    size_t len_at = out->len;
    xdr_put_u32(out, 0);
    if (mask & NFS_SET_SIZE)
        xdr_put_u64(out, set->size);
    if (mask & NFS_SET_MODE)
        xdr_put_u32(out, set->mode & 07777);
    if (mask & NFS_SET_UID)
        put_number_text(out, set->uid);
    if (mask & NFS_SET_GID)
        put_number_text(out, set->gid);
    if (mask & (NFS_SET_ATIME | NFS_SET_ATIME_NOW))
        put_set_time(out, mask & NFS_SET_ATIME, &set->atime);
    if (mask & (NFS_SET_MTIME | NFS_SET_MTIME_NOW))
        put_set_time(out, mask & NFS_SET_MTIME, &set->mtime);
    if (!out->full)
        xdr_store_u32(out->buf + len_at, (uint32_t)(out->len - len_at - 4));
}

void v4_put_type(struct xdr_out *out, uint32_t type) {
    xdr_put_u32(out, 1);
    xdr_put_u32(out, BIT(FATTR4_TYPE));
    xdr_put_u32(out, 4);
    xdr_put_u32(out, type);
}

static uint32_t get_type(struct xdr_in *in) {
    static const uint32_t types[] = {[NF4REG] = S_IFREG, [NF4DIR] = S_IFDIR,   [NF4BLK] = S_IFBLK, [NF4CHR] = S_IFCHR,
                                     [NF4LNK] = S_IFLNK, [NF4SOCK] = S_IFSOCK, [NF4FIFO] = S_IFIFO};
    uint32_t type = xdr_get_u32(in);
    if (type < ARRAY_SIZE(types) && types[type])
        return types[type];
    in->bad = true;
    return 0;
}

static struct timespec get_time(struct xdr_in *in) {
    uint64_t sec = xdr_get_u64(in);
    uint32_t nsec = xdr_get_u32(in);
    return (struct timespec){.tv_sec = (time_t)sec, .tv_nsec = nsec < 1000000000 ? (long)nsec : 0};
}

static uint32_t get_owner(struct xdr_in *in, bool group) {
    uint32_t len = 0;
    const uint8_t *text = xdr_get_opaque(in, OWNER_MAX, &len);
    return text ? nfs_owner_parse(text, len, group) : 0;
}

static void get_attr_value(struct xdr_in *in, uint32_t number, struct nfs_attr *attr) {
    switch (number) {
    case FATTR4_TYPE:
        attr->mode |= get_type(in);
        break;
    case FATTR4_SIZE:
        attr->size = xdr_get_u64(in);
        break;
    case FATTR4_FSID:
        attr->fsid = xdr_get_u64(in) * 31;
        attr->fsid += xdr_get_u64(in);
        break;
    case FATTR4_FILEID:
        attr->fileid = xdr_get_u64(in);
        break;
    case FATTR4_MODE:
        attr->mode |= xdr_get_u32(in) & 07777;
        break;
    case FATTR4_NUMLINKS:
        attr->nlink = xdr_get_u32(in);
        break;
    case FATTR4_OWNER:
        attr->uid = get_owner(in, false);
        break;
    case FATTR4_OWNER_GROUP:
        attr->gid = get_owner(in, true);
        break;
    case FATTR4_RAWDEV:
        attr->rdev_major = xdr_get_u32(in);
        attr->rdev_minor = xdr_get_u32(in);
        break;
    case FATTR4_SPACE_USED:
        attr->used = xdr_get_u64(in);
        break;
    case FATTR4_TIME_ACCESS:
        attr->atime = get_time(in);
        break;
    case FATTR4_TIME_METADATA:
        attr->ctime = get_time(in);
        break;
    case FATTR4_TIME_MODIFY:
        attr->mtime = get_time(in);
        break;
    default: // not asked for: where the next one starts is not known
        in->bad = true;
        break;
    }
}

static void get_value(struct xdr_in *in, uint32_t number, struct v4_attrs *ret) {
    uint64_t *const numbers[] = {
        [FATTR4_FILES_AVAIL] = &ret->fsstat.avail_files,
        [FATTR4_FILES_FREE] = &ret->fsstat.free_files,
        [FATTR4_FILES_TOTAL] = &ret->fsstat.total_files,
        [FATTR4_MAXREAD] = &ret->read_max,
        [FATTR4_MAXWRITE] = &ret->write_max,
        [FATTR4_SPACE_AVAIL] = &ret->fsstat.avail_bytes,
        [FATTR4_SPACE_FREE] = &ret->fsstat.free_bytes,
        [FATTR4_SPACE_TOTAL] = &ret->fsstat.total_bytes,
    };
    if (number < ARRAY_SIZE(numbers) && numbers[number])
        *numbers[number] = xdr_get_u64(in);
    else if (number == FATTR4_RDATTR_ERROR)
        ret->error = xdr_get_u32(in);
    else if (number == FATTR4_FILEHANDLE)
        v4_get_fh(in, &ret->fh);
    else
        get_attr_value(in, number, &ret->attr);
}

void v4_get_fattr(struct xdr_in *in, struct v4_attrs *ret) {
    uint32_t words[BITMAP_WORDS_MAX] = {0}, count = xdr_get_u32(in), len = 0;
    if (count > BITMAP_WORDS_MAX)
        in->bad = true;
    for (uint32_t i = 0; i < count && !in->bad; i++)
        words[i] = xdr_get_u32(in);
    const uint8_t *values = xdr_get_opaque(in, ATTRS_BYTES_MAX, &len);
    *ret = (struct v4_attrs){0};
    if (!values)
        return;
    struct xdr_in sub = {.at = values, .end = values + len};
    for (uint32_t n = 0; n < BITMAP_WORDS_MAX * WORD_BITS && !sub.bad; n++)
        if (words[n / WORD_BITS] & BIT(n))
            get_value(&sub, n, ret);
    ret->has_attr = (words[0] & BIT(FATTR4_TYPE)) && (words[1] & BIT(FATTR4_MODE));
    in->bad |= sub.bad;
}
