// SPDX-License-Identifier: Apache-2.0
// Owners as NFSv4 writes them ("1000", "1000@domain", "root@domain") and as numbers.
//
// Why:     with AUTH_SYS numbers travel as text (RFC 7530 5.9); servers that map ids send names, which are looked up in
//          this host's users and groups and remembered.
// Threads: any.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NFS_OWNER_NOBODY UINT32_C(65534)

uint32_t nfs_owner_parse(const uint8_t *text, size_t len, bool group); // NFS_OWNER_NOBODY when nobody knows it
