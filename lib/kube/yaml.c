// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/yaml.h"

#include <errno.h>
#include <yaml.h>

#define DEPTH_MAX 20

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; // the one being looked at
    bool has_event;
    unsigned depth;
    struct err *err;
};

static int next(struct reader *reader) {
    if (reader->has_event)
        yaml_event_delete(&reader->event);
    reader->has_event = yaml_parser_parse(&reader->parser, &reader->event);
    if (reader->has_event)
        return 0;
    return err_set(reader->err, -EBADMSG, "no valid YAML: %s (line %zu)",
                   reader->parser.problem ? reader->parser.problem : "unreadable",
                   reader->parser.problem_mark.line + 1);
}

static int refuse(struct reader *reader, const char *what) {
    return err_set(reader->err, -EBADMSG, "YAML: %s (line %zu)", what, reader->event.start_mark.line + 1);
}

static int read_value(struct reader *reader, struct json **ret);

static int scalar(const struct reader *reader, struct json **ret) {
    struct json *list cleanup(json_freep) = json_array_new();
    const char *text = (const char *)reader->event.data.scalar.value;
    if (!list || json_append_bytes(list, text, reader->event.data.scalar.length) < 0)
        return err_set(reader->err, -ENOMEM, "out of memory");
    *ret = json_ref(json_at(list, 0));
    return 0;
}

static int read_sequence(struct reader *reader, struct json **ret) {
    struct json *list cleanup(json_freep) = json_array_new();
    int r = list ? next(reader) : err_set(reader->err, -ENOMEM, "out of memory");
    while (r == 0 && reader->event.type != YAML_SEQUENCE_END_EVENT) {
        struct json *value = NULL;
        r = read_value(reader, &value);
        if (r == 0)
            r = json_append(list, value);
        if (r == 0)
            r = next(reader);
    }
    if (r == 0)
        *ret = take_ptr(list);
    return r;
}

static int read_mapping(struct reader *reader, struct json **ret) {
    struct json *object cleanup(json_freep) = json_object_new();
    int r = object ? next(reader) : err_set(reader->err, -ENOMEM, "out of memory");
    while (r == 0 && reader->event.type != YAML_MAPPING_END_EVENT) {
        struct json *key cleanup(json_freep) = NULL, *value = NULL;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return refuse(reader, "a name is no text");
        r = scalar(reader, &key);
        if (r == 0 && (!json_text(key) || json_get(object, json_text(key))))
            return refuse(reader, "a name stands twice");
        if (r == 0)
            r = next(reader);
        if (r == 0)
            r = read_value(reader, &value);
        if (r == 0)
            r = json_set(object, json_text(key), value);
        if (r == 0)
            r = next(reader);
    }
    if (r == 0)
        *ret = take_ptr(object);
    return r;
}

static int read_value(struct reader *reader, struct json **ret) {
    int r;
    if (++reader->depth > DEPTH_MAX)
        return refuse(reader, "nested too deeply");
    switch (reader->event.type) {
    case YAML_SCALAR_EVENT:
        r = scalar(reader, ret);
        break;
    case YAML_SEQUENCE_START_EVENT:
        r = read_sequence(reader, ret);
        break;
    case YAML_MAPPING_START_EVENT:
        r = read_mapping(reader, ret);
        break;
    default:
        r = refuse(reader, "aliases are not taken here");
    }
    reader->depth--;
    return r;
}

int kube_yaml_parse(const char *text, size_t len, struct json **ret, struct err *err) {
    struct reader reader = {.err = err};
    if (!yaml_parser_initialize(&reader.parser))
        return err_set(err, -ENOMEM, "out of memory");
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, len);
    int r = next(&reader); // the stream's start
    if (r == 0)
        r = next(&reader);
    if (r == 0 && reader.event.type != YAML_DOCUMENT_START_EVENT)
        r = refuse(&reader, "there is nothing in it");
    if (r == 0)
        r = next(&reader);
    if (r == 0)
        r = read_value(&reader, ret);
    if (reader.has_event)
        yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return r;
}
