// SPDX-License-Identifier: Apache-2.0
// What a command prints: JSON as it came, or lines and tables for people.
#pragma once

#include <stdint.h>

#include "cli/command.h"
#include "lib/base/json.h"

int output_json(const struct json *json, struct err *err) must_check; // indented, on standard output

// A table of at most OUTPUT_COLUMNS columns whose widths fit what is in them.
#define OUTPUT_COLUMNS 6
struct table {
    char **cells; // rows * columns, allocated
    size_t columns, count;
    bool failed; // out of memory: printed as an error at the end
};
// Cells of one row; NULL prints as "-". The first row is the heading.
void table_row(struct table *table, size_t columns, const char *const *cells);
int table_print(struct table *table, struct err *err) must_check;
void table_done(struct table *table);
#define cleanup_table cleanup(table_done)

void output_field(const char *name, const char *value); // "name:    value"
// "1.5Gi", or "-" for 0: not known
const char *output_bytes(int64_t bytes, char buf[static 24]);
// Local time with seconds of a protobuf Timestamp, "-" when missing.
const char *output_time(const struct json *timestamp, char buf[static 32]);
// id, capacity and context of a CSI volume
void output_volume(const struct json *volume);
// A row's cells of a CSI snapshot, under output_snapshot_heading.
void output_snapshot_heading(struct table *table);
void output_snapshot(struct table *table, const struct json *snapshot);
