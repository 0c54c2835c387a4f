// SPDX-License-Identifier: Apache-2.0
// From a request's target to its route and arguments.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/loop.h"

static int compare_rows(const void *a, const void *b) {
    const struct http_compiled *left = a, *right = b;
    int order = http_pattern_compare(&left->pattern, &right->pattern);
    return order ? order : left->index < right->index ? -1 : 1;
}

static int compile_table(struct http_server *server, const struct http_table *table, struct err *err) {
    struct http_compiled *rows = &server->rows[server->row_count];
    for (size_t i = 0; i < table->count; i++) {
        rows[i] = (struct http_compiled){.table = table, .route = &table->routes[i], .index = server->row_count + i};
        int r = http_pattern_parse(table->routes[i].pattern, &rows[i].pattern, err);
        if (r < 0)
            return r;
    }
    qsort(rows, table->count, sizeof *rows, compare_rows);
    for (size_t i = 0; i < table->prefix_count; i++) {
        struct http_mount *mount = &server->mounts[server->mount_count++];
        *mount = (struct http_mount){.table = table, .text = table->prefixes[i], .rows = rows};
        int r = http_pattern_parse(mount->text, &mount->prefix, err);
        if (r < 0)
            return r;
    }
    server->row_count += table->count;
    return 0;
}

int http_routes_compile(struct http_server *server, struct err *err) {
    size_t rows = 0, mounts = 0;
    for (size_t i = 0; i < server->options.table_count; i++) {
        rows += server->options.tables[i].count;
        mounts += server->options.tables[i].prefix_count;
    }
    server->rows = mem_array(rows ? rows : 1, sizeof *server->rows);
    server->mounts = mem_array(mounts ? mounts : 1, sizeof *server->mounts);
    if (!server->rows || !server->mounts)
        return err_set(err, -ENOMEM, "out of memory");
    int r = 0;
    for (size_t i = 0; r == 0 && i < server->options.table_count; i++)
        r = compile_table(server, &server->options.tables[i], err);
    return r;
}

// ---- arguments and query, decoded into one piece of memory ---------------------------------------------------------------

static unsigned decode_into(char **at, struct http_slice in, bool plus, const char **ret, size_t *ret_len,
                            struct err *err) {
    long len = http_percent_decode(in, plus, *at);
    if (len < 0)
        return (void)err_set(err, -EINVAL, "the request target has a '%%' without two hex digits; write %%25"), 400;
    *ret = *at;
    *ret_len = (size_t)len;
    (*at)[len] = '\0';
    *at += len + 1;
    return 0;
}

static unsigned take_args(struct http_request *request, const struct http_args *args, struct http_slice query,
                          struct err *err) {
    size_t size = query.len + 2 * HTTP_QUERY_MAX + HTTP_ARGS_MAX;
    for (size_t i = 0; i < args->count; i++)
        size += args->values[i].len;
    if (!args->count && !query.len)
        return 0;
    struct http_slice name, value;
    struct http_slice rest = query;
    size_t pieces = 0;
    while (http_query_next(&rest, &name, &value))
        pieces++;
    if (pieces > HTTP_QUERY_MAX)
        return (void)err_set(err, -EINVAL, "more than %d query parameters", HTTP_QUERY_MAX), 400;
    request->arena = mem_alloc(pieces * sizeof *request->query + size);
    if (!request->arena)
        return (void)err_set(err, -ENOMEM, "out of memory"), 500;
    request->query = (struct http_named *)(void *)request->arena;
    char *at = request->arena + pieces * sizeof *request->query;
    unsigned status = 0;
    for (size_t i = 0; i < args->count && !status; i++) {
        struct http_named *arg = &request->args[request->arg_count++];
        arg->name = args->names[i].data;
        arg->name_len = args->names[i].len;
        status = decode_into(&at, args->values[i], false, &arg->value, &arg->len, err);
    }
    while (!status && http_query_next(&query, &name, &value)) {
        struct http_named *item = &request->query[request->query_count++];
        status = decode_into(&at, name, true, &item->name, &item->name_len, err);
        if (!status)
            status = decode_into(&at, value, true, &item->value, &item->len, err);
    }
    return status;
}

// ---- the search ------------------------------------------------------------------------------------------------------------

static bool serves(const struct http_route *route, const struct http_head *head) {
    return head->known_method &&
           (route->method == head->method || (route->method == HTTP_GET && head->method == HTTP_HEAD));
}

static void add_allowed(char allow[static 64], enum http_method method) {
    const char *name = http_method_name(method);
    size_t len = strlen(allow);
    if (!strstr(allow, name))
        (void)snprintf(allow + len, 64 - len, "%s%s", len ? ", " : "", name);
}

// The first row that fits path and method; else the methods of those that fit the path, in `allow`.
static const struct http_compiled *search(const struct http_mount *mount, const struct http_head *head,
                                          struct http_slice path, struct http_args *args, char allow[static 64]) {
    const struct http_compiled *found = NULL;
    struct http_args found_args = *args;
    for (size_t i = 0; i < mount->table->count; i++) {
        const struct http_compiled *row = &mount->rows[i];
        struct http_args own = {.count = args->count};
        memcpy(own.names, args->names, args->count * sizeof *own.names);
        memcpy(own.values, args->values, args->count * sizeof *own.values);
        if (!http_pattern_match(&row->pattern, path, &own, NULL))
            continue;
        // A row for HEAD itself goes before the GET that would serve it too.
        if (serves(row->route, head) && (!found || (row->route->method == head->method &&
                                                    http_pattern_compare(&row->pattern, &found->pattern) == 0 &&
                                                    found->route->method != head->method))) {
            found = row;
            found_args = own;
            if (row->route->method == head->method)
                break;
        }
        add_allowed(allow, row->route->method);
        if (row->route->method == HTTP_GET)
            add_allowed(allow, HTTP_HEAD);
    }
    if (found)
        *args = found_args;
    return found;
}

// Below which prefix does the path lie? What follows it begins with one slash.
static const struct http_mount *find_mount(const struct http_server *server, struct http_slice path,
                                           struct http_args *args, struct http_slice *ret_rest) {
    for (size_t i = 0; i < server->mount_count; i++) {
        args->count = 0;
        if (!http_pattern_match(&server->mounts[i].prefix, path, args, ret_rest))
            continue;
        if (server->mounts[i].prefix.count && ret_rest->len > 1 && ret_rest->data[1] == '/')
            *ret_rest = (struct http_slice){ret_rest->data + 1, ret_rest->len - 1};
        return &server->mounts[i];
    }
    return NULL;
}

unsigned http_routes_find(struct http_server *server, struct http_request *request, char allow[static 64],
                          struct err *err) {
    struct http_slice path, query, rest;
    bool has_query;
    struct http_args args = {.count = 0};
    allow[0] = '\0';
    if (http_target_split(request->head.target, &path, &query, &has_query, err) < 0)
        return 400;
    const struct http_mount *mount = find_mount(server, path, &args, &rest);
    const struct http_compiled *row = mount ? search(mount, &request->head, rest, &args, allow) : NULL;
    if (!row && !*allow)
        return (void)err_set(err, -ENOENT, "there is no such path"), 404;
    if (!row) {
        add_allowed(allow, HTTP_OPTIONS);
        bool asks = request->head.known_method && request->head.method == HTTP_OPTIONS;
        if (!asks)
            (void)err_set(err, -EOPNOTSUPP, "this path allows the methods %s", allow);
        return asks ? 204U : 405U;
    }
    request->route = row->route;
    request->route_index = row->index;
    request->table = row->table;
    request->prefix = mount->text;
    if (row->route->raw_query && has_query) {
        if (args.count)
            args.values[args.count - 1].len += 1 + query.len;
        query.len = 0;
    }
    return take_args(request, &args, query, err);
}
