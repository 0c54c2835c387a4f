// SPDX-License-Identifier: Apache-2.0
#include "lib/rpc/message.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"

#define DEPTH_MAX 16 // of nested messages; CSI has 4

struct wire { // what is left to read
    const uint8_t *at, *end;
};

// Wire types (protobuf.dev, "Encoding"); 3 and 4 are groups, which proto3 does not have.
enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };

static bool read_varint(struct wire *wire, uint64_t *ret) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && wire->at < wire->end; shift += 7) {
        uint8_t byte = *wire->at++;
        value |= shift < 64 ? (uint64_t)(byte & 0x7F) << shift : 0;
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct wire *wire, uint64_t count) {
    if (count > (uint64_t)(wire->end - wire->at))
        return false;
    wire->at += count;
    return true;
}

static int check_text(const ProtobufCMessageDescriptor *type, struct wire wire, unsigned depth, struct err *err);

static int check_bytes(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field, struct wire part,
                       unsigned depth, struct err *err) {
    if (!field)
        return 0;
    if (field->type == PROTOBUF_C_TYPE_STRING && !str_is_utf8((const char *)part.at, (size_t)(part.end - part.at)))
        return err_set(err, -EINVAL, "field '%s' of %s must be UTF-8 text without NUL", field->name, type->short_name);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_text(field->descriptor, part, depth + 1, err);
    return 0;
}

static int malformed(const ProtobufCMessageDescriptor *type, struct err *err) {
    return err_set(err, -EBADMSG, "the bytes of the request are no %s message", type->short_name);
}

static int check_text(const ProtobufCMessageDescriptor *type, struct wire wire, unsigned depth, struct err *err) {
    if (depth > DEPTH_MAX)
        return malformed(type, err);
    while (wire.at < wire.end) {
        uint64_t tag = 0, value = 0;
        if (!read_varint(&wire, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
            return malformed(type, err);
        bool whole = false;
        switch (tag & 7) {
        case WIRE_VARINT:
            whole = read_varint(&wire, &value);
            break;
        case WIRE_64BIT:
            whole = skip(&wire, 8);
            break;
        case WIRE_32BIT:
            whole = skip(&wire, 4);
            break;
        case WIRE_BYTES: {
            whole = read_varint(&wire, &value);
            const uint8_t *start = wire.at;
            whole = whole && skip(&wire, value);
            int r = whole ? check_bytes(type, protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3)),
                                        (struct wire){start, wire.at}, depth, err)
                          : 0;
            if (r < 0)
                return r;
            break;
        }
        default:
            break;
        }
        if (!whole)
            return malformed(type, err);
    }
    return 0;
}

int message_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, struct arena *arena,
                   ProtobufCMessage **ret, struct err *err) {
    struct wire wire = {data, (const uint8_t *)data + len};
    int r = check_text(type, wire, 0, err);
    if (r < 0)
        return r;
    ProtobufCAllocator allocator = arena_allocator(arena);
    arena->failed = false;
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, len, data);
    if (message) {
        *ret = message;
        return 0;
    }
    if (arena->exhausted)
        return err_set(err, -EMSGSIZE, "the %s message needs more than %zu MiB of memory when decoded",
                       type->short_name, arena->limit >> 20);
    if (arena->failed)
        return err_set(err, -ENOMEM, "no memory to decode a %s message; try again", type->short_name);
    return malformed(type, err);
}

// Address of a member that a descriptor describes.
static const void *member(const ProtobufCMessage *message, unsigned offset) {
    return (const char *)message + offset;
}

static bool is_given(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)member(message, field->quantifier_offset) > 0;
    const void *value = *(const void *const *)member(message, field->offset);
    return value && (field->type == PROTOBUF_C_TYPE_MESSAGE || *(const char *)value != '\0');
}

int message_require(const ProtobufCMessage *message, const char *const *names, struct err *err) {
    for (; *names; names++) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(message->descriptor, *names);
        if (!field || !is_given(message, field))
            return err_set(err, -EINVAL, "field '%s' of %s is missing", *names, message->descriptor->short_name);
    }
    return 0;
}

const char *message_text(const ProtobufCMessage *message, const char *name) {
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    if (!field || field->type != PROTOBUF_C_TYPE_STRING || field->label == PROTOBUF_C_LABEL_REPEATED)
        return NULL;
    return *(const char *const *)member(message, field->offset);
}
