// SPDX-License-Identifier: Apache-2.0
// Small bridges between our types and those of the gRPC C core; only lib/rpc includes it.
#pragma once

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

void core_init(void); // counted; also sends the core's own messages to our log
void core_shutdown(void);

// Between the core's times and absolute CLOCK_MONOTONIC nanoseconds; DEADLINE_NONE is the core's infinite future.
int64_t core_to_deadline(gpr_timespec when);
gpr_timespec core_from_deadline(int64_t deadline_ns);

// Keeps the machine's memory small after a message of `size` bytes was handled.
void core_trim(size_t size);
