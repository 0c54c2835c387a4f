// SPDX-License-Identifier: Apache-2.0
// Bytes to messages and back, with the checks that protobuf-c leaves to others.
//
// Why:   protobuf-c takes text that is no UTF-8, cuts text at a NUL, and allocates as much as the sender makes it.
// Fails: -EBADMSG (no such message), -EINVAL (a text that is no UTF-8 or holds a NUL, a missing field), -EMSGSIZE
//        (beyond the arena's limit), -ENOMEM. Errors name fields, never what is in them.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/rpc/arena.h"

// Unknown fields are kept as bytes and count against the arena's limit.
int message_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, struct arena *arena,
                   ProtobufCMessage **ret, struct err *err) must_check;

// Are the named fields present: a text or list not empty, a message given? `names` ends with NULL.
int message_require(const ProtobufCMessage *message, const char *const *names, struct err *err) must_check;

// The value of a text field; NULL when the message has no such field.
const char *message_text(const ProtobufCMessage *message, const char *name);
