// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/directory.h"

#include <errno.h>

#include "lib/base/mem.h"

static bool is_dot(const uint8_t *name, uint32_t len) {
    return (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
}

// A name no directory can hold is the server's fault, and dangerous to whoever builds paths of it.
static bool is_sane(const uint8_t *name, uint32_t len) {
    return len > 0 && len <= NFS_NAME_MAX && !memchr(name, '/', len) && !memchr(name, 0, len);
}

struct page {
    size_t entries, text, seen;
    uint64_t cookie;
};

static int measure(struct xdr_in *in, dirent_decode decode, struct page *page) {
    while (xdr_get_u32(in) && !in->bad) {
        struct nfs_dirent entry = {0};
        const uint8_t *name = NULL;
        uint32_t len = 0;
        decode(in, &entry, &name, &len);
        if (in->bad || !name || !is_sane(name, len))
            return -EPROTO;
        page->seen++;
        page->cookie = entry.cookie;
        if (is_dot(name, len))
            continue;
        page->entries++;
        page->text += len + 1;
    }
    return in->bad ? -EPROTO : 0;
}

static void fill(struct xdr_in *in, dirent_decode decode, struct nfs_dirent *entries, size_t count) {
    char *text = (char *)(entries + count);
    for (size_t i = 0; i < count;) {
        (void)xdr_get_u32(in);
        const uint8_t *name = NULL;
        uint32_t len = 0;
        entries[i] = (struct nfs_dirent){0};
        decode(in, &entries[i], &name, &len);
        if (is_dot(name, len))
            continue;
        entries[i++].name = memcpy(text, name, len);
        text[len] = '\0';
        text += len + 1;
    }
}

int nfs_directory_decode(struct nfs_call *call, struct xdr_in *in, dirent_decode decode) {
    struct xdr_in again = *in;
    struct page page = {.cookie = call->cookie};
    int r = measure(in, decode, &page);
    if (r < 0)
        return r;
    bool eof = xdr_get_u32(in) != 0;
    if (in->bad || (!eof && (page.seen == 0 || page.cookie == call->cookie))) // it would be asked for for ever
        return -EPROTO;
    struct nfs_dirent *entries = mem_alloc(page.entries * sizeof *entries + page.text);
    if (!entries)
        return -ENOMEM;
    fill(&again, decode, entries, page.entries);
    call->entries = entries;
    call->entry_count = page.entries;
    call->cookie = page.cookie;
    call->eof = eof;
    return 0;
}
