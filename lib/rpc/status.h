// SPDX-License-Identifier: Apache-2.0
// How a call ended: the gRPC status codes and a message.
// The numbers and names are gRPC's (doc/statuscodes.md of the gRPC project).
#pragma once

#define RPC_MESSAGE_MAX 1024

enum rpc_code {
    RPC_OK = 0,
    RPC_CANCELLED = 1,
    RPC_UNKNOWN = 2,
    RPC_INVALID_ARGUMENT = 3,
    RPC_DEADLINE_EXCEEDED = 4,
    RPC_NOT_FOUND = 5,
    RPC_ALREADY_EXISTS = 6,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_FAILED_PRECONDITION = 9,
    RPC_ABORTED = 10,
    RPC_OUT_OF_RANGE = 11,
    RPC_UNIMPLEMENTED = 12,
    RPC_INTERNAL = 13,
    RPC_UNAVAILABLE = 14,
    RPC_DATA_LOSS = 15,
    RPC_UNAUTHENTICATED = 16,
};

struct rpc_status {
    enum rpc_code code;
    char message[RPC_MESSAGE_MAX]; // UTF-8; "" when OK
};

const char *rpc_code_name(enum rpc_code code); // "NOT_FOUND"; "UNKNOWN" for a number that gRPC does not have

// Sets both; a message that is too long is cut on a UTF-8 boundary.
void rpc_status_set(struct rpc_status *status, enum rpc_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
