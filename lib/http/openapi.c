// SPDX-License-Identifier: Apache-2.0
// The tables of routes as an OpenAPI 3.1 document.
#include <errno.h>
#include <string.h>

#include "lib/http/loop.h"

// "/a/{key...}" → "/a/{key}": OpenAPI has no argument that takes the rest; its description says it.
static int append_path(struct str *out, const char *text) {
    for (const char *at = text; *at; at++) {
        if (strncmp(at, "...}", 4) == 0)
            at += 3;
        (void)str_append_bytes(out, at, 1);
    }
    return out->failed ? -ENOMEM : 0;
}

static int add_parameters(struct json *operation, const char *prefix, const char *pattern) {
    struct json *list = json_array_new();
    int r = list ? 0 : -ENOMEM;
    const char *texts[] = {prefix, pattern};
    for (size_t t = 0; r == 0 && t < ARRAY_SIZE(texts); t++) {
        struct http_pattern parsed;
        r = http_pattern_parse(texts[t], &parsed, NULL);
        for (size_t i = 0; r == 0 && i < parsed.count; i++) {
            if (parsed.segments[i].kind == HTTP_SEGMENT_LITERAL)
                continue;
            struct str name cleanup_str = {0};
            struct json *item = json_object_new();
            struct json *schema = json_object_new();
            bool rest = parsed.segments[i].kind == HTTP_SEGMENT_REST;
            if (str_append_bytes(&name, parsed.segments[i].text.data, parsed.segments[i].text.len) < 0 || !item ||
                json_set_text(schema, "type", "string") < 0 || json_set_text(item, "name", str_text(&name)) < 0 ||
                json_set_text(item, "in", "path") < 0 || json_set_bool(item, "required", true) < 0 ||
                json_set_text(item, "description", rest ? "the rest of the path; may hold slashes" : NULL) < 0)
                r = -ENOMEM;
            if (json_set(item, "schema", schema) < 0 || json_append(list, item) < 0)
                r = -ENOMEM;
        }
    }
    return json_set(operation, "parameters", list) < 0 ? -ENOMEM : r;
}

static int add_body(struct json *operation, const struct http_route *route) {
    if (route->body == HTTP_BODY_NONE)
        return 0;
    struct json *body = json_object_new();
    struct json *content = json_object_new();
    int r = json_set(content, "*/*", json_object_new());
    if (r == 0 && route->body_max)
        r = json_set_int(body, "x-max-bytes", (int64_t)route->body_max);
    if (json_set(body, "content", content) < 0)
        r = -ENOMEM;
    return json_set(operation, "requestBody", body) < 0 ? -ENOMEM : r;
}

// The error body is described once, as the default answer.
static int add_responses(struct json *operation) {
    struct json *responses = json_object_new();
    struct json *ok = json_object_new();
    struct json *other = json_object_new();
    int r = json_set_text(ok, "description", "done");
    if (r == 0)
        r = json_set_text(other, "$ref", "#/components/responses/Error");
    if (json_set(responses, "2XX", ok) < 0 || json_set(responses, "default", other) < 0)
        r = -ENOMEM;
    return json_set(operation, "responses", responses) < 0 ? -ENOMEM : r;
}

static int add_route(struct json *paths, const char *prefix, bool first, const struct http_route *route) {
    struct str path cleanup_str = {0};
    char method[8];
    size_t len = 0;
    for (const char *name = http_method_name(route->method); *name && len + 1 < sizeof method; name++)
        method[len++] = (char)(*name | 0x20);
    method[len] = '\0';
    if (append_path(&path, prefix) < 0 || append_path(&path, route->pattern) < 0)
        return -ENOMEM;
    struct json *item cleanup(json_freep) = json_ref(json_get(paths, str_text(&path)));
    if (!item && (!(item = json_object_new()) || json_set(paths, str_text(&path), json_ref(item)) < 0))
        return -ENOMEM;
    struct json *operation = json_object_new();
    if (!operation)
        return -ENOMEM;
    int r = 0;
    if (first) // an operationId is unique: the aliases have none
        r = json_set_text(operation, "operationId", route->name);
    if (r == 0)
        r = json_set_text(operation, "summary", route->summary);
    if (r == 0)
        r = add_parameters(operation, prefix, route->pattern);
    if (r == 0)
        r = add_body(operation, route);
    if (r == 0)
        r = add_responses(operation);
    return json_set(item, method, operation) < 0 ? -ENOMEM : r;
}

static int add_head(struct json *document, const char *title) {
    static const char components[] =
        "{\"responses\":{\"Error\":{\"description\":\"what went wrong\",\"content\":{\"application/json\":{\"schema\":"
        "{\"type\":\"object\",\"required\":[\"code\",\"message\"],\"properties\":{\"code\":{\"type\":\"string\"},"
        "\"message\":{\"type\":\"string\"}}}}}}},"
        "\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}}}";
    struct json *parsed = NULL;
    struct json *info = json_object_new();
    int r = json_set_text(document, "openapi", "3.1.0");
    if (r == 0)
        r = json_set_text(info, "title", title);
    if (r == 0)
        r = json_set_text(info, "version", STOWAGE_VERSION);
    if (json_set(document, "info", info) < 0 || r < 0)
        return -ENOMEM;
    if (json_parse(components, sizeof components - 1, sizeof components, &parsed, NULL) < 0)
        return -ENOMEM;
    return json_set(document, "components", parsed);
}

struct json *http_openapi(const char *title, const struct http_table *tables, size_t count) {
    struct json *document cleanup(json_freep) = json_object_new();
    struct json *paths = json_object_new();
    int r = document && paths ? add_head(document, title) : -ENOMEM;
    for (size_t t = 0; r == 0 && t < count; t++)
        for (size_t p = 0; p < tables[t].prefix_count; p++)
            for (size_t i = 0; r == 0 && i < tables[t].count; i++)
                r = add_route(paths, tables[t].prefixes[p], p == 0, &tables[t].routes[i]);
    if (json_set(document, "paths", paths) < 0 || r < 0)
        return NULL;
    return take_ptr(document);
}
