// SPDX-License-Identifier: Apache-2.0
// Allocation "device": a volume or a snapshot is a whole disk, the smallest free one that is large enough.
//
// Why:     nothing lies between the application and the disk. What is on the disks is theirs, so the claims stand in a
//          directory of the node: a file of the pool's data folder says which disk a volume has, by its identity.
// Order:   the claim, then what is written on the disk; erased, then the claim goes. A disk that shows anything and has no
//          claim is somebody else's and is never taken, unless the pool was declared with "+wipe".
#pragma once

#include "node-plugin/local/pool.h"

extern const struct allocation allocation_device;
