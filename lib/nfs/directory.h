// SPDX-License-Identifier: Apache-2.0
// One page of a directory in one block of memory: entries in front, names behind.
//
// Why:  both versions read the list twice, once to measure and check it, once to fill the block, so that what a server
//       says can never make us allocate more than its reply holds.
#pragma once

#include "lib/nfs/nfs.h"
#include "lib/nfs/xdr.h"

// Reads what follows one entry's "more" flag. *ret_name is inside the reply.
typedef void (*dirent_decode)(struct xdr_in *in, struct nfs_dirent *entry, const uint8_t **ret_name,
                              uint32_t *ret_name_len);

// Reads the list and its end mark into the call: entries, entry_count, cookie, eof.
int nfs_directory_decode(struct nfs_call *call, struct xdr_in *in, dirent_decode decode) must_check;
