// SPDX-License-Identifier: Apache-2.0
// One page of a list: what fits, and the token that continues behind it.
//
// Why:   a token names the last entry given, so it survives restarts and deletions; its checksum tells tokens of ours
//        from others, which the CSI specification wants ABORTED (ListVolumes, "Invalid starting_token").
// Limits: without max_entries everything is given, but a reply stays below 3.5 MiB: clients take 4 MiB by default.
#pragma once

#include "csi/messages.h"

#define PAGE_STOP 1 // what an emit function returns to end the list early

struct page {
    const struct csi_call *call;
    struct err *err;
    const char *space; // of the tokens: those of one list do not fit another

    const char *after; // id to go on behind, or NULL
    struct message_list list;
    size_t bytes, max;
    const char *last; // id of the last entry
    bool full;        // there is more than the page holds
    int failed;       // an entry could not be written
};

int page_begin(struct page *page, int32_t max_entries, const char *token) must_check;
bool page_is_full(struct page *page);
// For emit functions: adds an entry that was written with result `r`; returns what emit returns.
int page_add(struct page *page, int r, ProtobufCMessage *entry, const char *id);
// `r` is the result of the list; sets the token when there is more.
int page_end(struct page *page, int r, char **ret_token) must_check;
