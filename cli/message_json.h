// SPDX-License-Identifier: Apache-2.0
// Protobuf messages as JSON and back, by their descriptors.
//
// Why:   requests and replies of every method are read and written by one piece of code.
// Form:  the interface's own field names; maps as objects; enums by name (a number is taken too); 64-bit integers as JSON
//        integers; bytes refused. What a reply does not have (an unset message, a oneof not chosen) is left out.
// Fails: -EINVAL names the field and what it takes. Unknown fields are refused, so that a misspelt one is not lost.
#pragma once

#include "lib/base/json.h"
#include "lib/rpc/client.h"

int message_to_json(const ProtobufCMessage *message, struct json **ret, struct err *err) must_check;
// The message is released with rpc_message_free.
int message_from_json(const struct json *json, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret,
                      struct err *err) must_check;
