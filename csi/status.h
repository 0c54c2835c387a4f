// SPDX-License-Identifier: Apache-2.0
// The one table from errno to gRPC codes. CSI specification, "Error Scheme".
#pragma once

#include "lib/rpc/status.h"

enum rpc_code csi_code_of(int error); // 0 or -errno; what the table does not hold is INTERNAL
