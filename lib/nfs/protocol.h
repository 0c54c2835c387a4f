// SPDX-License-Identifier: Apache-2.0
// The protocols' numbers, from libnfs, in the one place that includes its headers.
//
// Why:  libnfs gives the names of RFC 1813, 1833 and 7530. Its codec and its sockets stay unused: version 4.0.0 copies
//       opaque data without checking lengths, sends NFSv4 compounds from a 4 KiB buffer, cannot take back a call, and
//       continues a reply that was cut off with the bytes of the next connection.
#pragma once

#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw-nfs4.h>
#include <nfsc/libnfs-raw-portmap.h>
