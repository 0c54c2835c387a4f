// SPDX-License-Identifier: Apache-2.0
// The Controller service: snapshots.
#include <errno.h>

#include "csi/messages.h"
#include "csi/page.h"
#include "lib/base/str.h"

int csi_create_snapshot(const struct csi_call *call, const Csi__V1__CreateSnapshotRequest *request,
                        Csi__V1__CreateSnapshotResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    struct string_map parameters = {0};
    int r = check_name(request->name, err);
    if (r == 0)
        r = map_read(call, request->parameters, request->n_parameters, &parameters, err);
    if (r < 0)
        return r;
    struct snapshot_info info cleanup(snapshot_info_done) = {0};
    r = class->snapshots->create(class->snapshots_self, &call->context, request->name, request->source_volume_id,
                                 &parameters, &info, err);
    return r < 0 ? r : snapshot_write(call, &info, &response->snapshot, err);
}

int csi_delete_snapshot(const struct csi_call *call, const Csi__V1__DeleteSnapshotRequest *request,
                        Csi__V1__DeleteSnapshotResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    return class->snapshots->destroy(class->snapshots_self, &call->context, request->snapshot_id, err);
}

static int find(const struct csi_call *call, const char *id, struct snapshot_info *ret, struct err *err) {
    const struct volume_class *class = call->class;
    int r = class->snapshots->get(class->snapshots_self, &call->context, id, ret, err);
    return r == -EINVAL ? -ENOENT : r; // an id that cannot be ours names nothing
}

int csi_get_snapshot(const struct csi_call *call, const Csi__V1__GetSnapshotRequest *request,
                     Csi__V1__GetSnapshotResponse *response, struct err *err) {
    struct snapshot_info info cleanup(snapshot_info_done) = {0};
    int r = find(call, request->snapshot_id, &info, err);
    return r < 0 ? r : snapshot_write(call, &info, &response->snapshot, err);
}

static int emit_snapshot(const struct snapshot_info *info, void *arg) {
    struct page *page = arg;
    if (page_is_full(page))
        return PAGE_STOP;
    Csi__V1__ListSnapshotsResponse__Entry *entry =
        message_new(page->call, &csi__v1__list_snapshots_response__entry__descriptor, page->err);
    int r = entry ? snapshot_write(page->call, info, &entry->snapshot, page->err) : -ENOMEM;
    return page_add(page, r, (ProtobufCMessage *)entry, r < 0 ? NULL : entry->snapshot->snapshot_id);
}

// The list when one id was asked for: that snapshot or none.
static int list_one(const struct csi_call *call, const Csi__V1__ListSnapshotsRequest *request, struct page *page,
                    struct err *err) {
    struct snapshot_info info cleanup(snapshot_info_done) = {0};
    int r = find(call, request->snapshot_id, &info, err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    bool other = !str_empty(request->source_volume_id) && !str_eq(request->source_volume_id, info.source_volume_id);
    bool given = page->after && str_eq(page->after, info.id);
    if (!other && !given)
        (void)emit_snapshot(&info, page);
    return 0;
}

static int list_all(const struct csi_call *call, const Csi__V1__ListSnapshotsRequest *request, struct page *page,
                    struct err *err) {
    const struct volume_class *class = call->class;
    const char *source = str_empty(request->source_volume_id) ? NULL : request->source_volume_id;
    int r =
        class->snapshots->list(class->snapshots_self, &call->context, page->after, source, emit_snapshot, page, err);
    return source && (r == -ENOENT || r == -EINVAL) ? 0 : r; // an unknown volume has no snapshots
}

int csi_list_snapshots(const struct csi_call *call, const Csi__V1__ListSnapshotsRequest *request,
                       Csi__V1__ListSnapshotsResponse *response, struct err *err) {
    struct page page = {.call = call, .err = err, .space = "snapshots"};
    int r = page_begin(&page, request->max_entries, request->starting_token);
    if (r == 0)
        r = str_empty(request->snapshot_id) ? list_all(call, request, &page, err) : list_one(call, request, &page, err);
    r = page_end(&page, r, &response->next_token);
    response->entries = (Csi__V1__ListSnapshotsResponse__Entry **)page.list.items;
    response->n_entries = page.list.count;
    return r;
}
