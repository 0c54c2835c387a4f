// SPDX-License-Identifier: Apache-2.0
// Requests of the store's commands: where the store is, whose token, paths, JSON in and out.
//
// Fails: as lib/http/client.h; what is wrong with --url or a token's file: -EINVAL before anything is sent.
#pragma once

#include "cli/command.h"
#include "lib/base/json.h"
#include "lib/http/client.h"

// From --url and --token, their environment, that of Lepton's clients, and the defaults.
int store_open(const struct cli *cli, struct http_client **ret, struct err *err) must_check;

// Appends a path: in `pattern`, '*' stands for the next text as one segment, "**" for one whose slashes stay.
int store_path(struct str *path, const char *pattern, ...);
// Appends the path of FS/PATH; FS alone is its root.
int store_files(struct str *path, const char *place);
// Appends "?name=text" or "&name=text"; nothing for a NULL text.
int store_query(struct str *path, const char *name, const char *text);
int store_query_number(struct str *path, const char *name, int64_t number);

// One request whose answer is JSON. `body` may be NULL, `ret` as well when the answer is of no interest.
int store_call(struct http_client *client, const char *method, const struct str *path, const struct json *body,
               struct json **ret, struct err *err) must_check;
// The same for a command that does this alone, and prints nothing but, with --json, the answer.
int store_do(const struct cli *cli, const char *method, const struct str *path, const struct json *body,
             struct err *err) must_check;

// Members of a body: a number of a flag, left out when it was not given; a text that must be UTF-8.
int store_set_number(struct json *body, const char *key, const char *number, struct err *err) must_check;
int store_set_text(struct json *body, const char *key, const char *data, size_t len, struct err *err) must_check;
// Bytes as a text `key`, or `key`_base64 when they are no UTF-8.
int store_set_bytes(struct json *object, const char *key, const char *data, size_t len) must_check;
int store_no_memory(struct err *err);
