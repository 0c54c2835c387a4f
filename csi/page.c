// SPDX-License-Identifier: Apache-2.0
#include "csi/page.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"

#define REPLY_BYTES_MAX ((size_t)3584 * 1024)
#define ENTRY_OVERHEAD 6 // tag and length of an entry in its list

// "<checksum>.<id>"
static void checksum(const struct page *page, const char *id, char ret[static HASH_ID_LEN + 1]) {
    char text[CSI_ID_MAX + 64];
    int len = snprintf(text, sizeof text, "stowage token/%s/%s", page->space, id);
    hash_id(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1, ret);
}

int page_begin(struct page *page, int32_t max_entries, const char *token) {
    int r = check_max_entries(max_entries, page->err);
    if (r < 0)
        return r;
    page->max = max_entries > 0 ? (size_t)max_entries : SIZE_MAX;
    if (*token == '\0')
        return 0;
    char sum[HASH_ID_LEN + 1] = "";
    size_t len = strlen(token);
    if (len > HASH_ID_LEN + 1 && len <= HASH_ID_LEN + 1 + CSI_ID_MAX && token[HASH_ID_LEN] == '.')
        checksum(page, token + HASH_ID_LEN + 1, sum);
    if (sum[0] == '\0' || strncmp(sum, token, HASH_ID_LEN) != 0)
        return err_set(page->err, -EAGAIN, "starting_token '%.60s' is none of this list; start again without a token",
                       token);
    page->after = token + HASH_ID_LEN + 1;
    return 0;
}

bool page_is_full(struct page *page) {
    page->full = page->list.count >= page->max || page->bytes >= REPLY_BYTES_MAX;
    return page->full;
}

int page_add(struct page *page, int r, ProtobufCMessage *entry, const char *id) {
    if (r == 0)
        r = list_add(page->call, &page->list, entry, page->err);
    if (r < 0) {
        page->failed = r;
        return PAGE_STOP;
    }
    page->bytes += protobuf_c_message_get_packed_size(entry) + ENTRY_OVERHEAD;
    page->last = id;
    return 0;
}

int page_end(struct page *page, int r, char **ret_token) {
    if (page->failed)
        return page->failed;
    if (!page->full)
        return r < 0 ? r : 0;
    char token[HASH_ID_LEN + 1 + CSI_ID_MAX + 1];
    checksum(page, page->last, token);
    (void)snprintf(token + HASH_ID_LEN, sizeof token - HASH_ID_LEN, ".%s", page->last);
    return text_write(page->call, token, ret_token, page->err);
}
