// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"

int output_json(const struct json *json, struct err *err) {
    char *text cleanup_free = json_dump(json, true);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    (void)printf("%s\n", text);
    return 0;
}

void table_row(struct table *table, size_t columns, const char *const *cells) {
    char **grown = mem_realloc(table->cells, (table->count + 1) * columns, sizeof *grown);
    if (!grown) {
        table->failed = true;
        return;
    }
    table->cells = grown;
    table->columns = columns;
    for (size_t c = 0; c < columns; c++) {
        char **cell = &grown[table->count * columns + c];
        *cell = mem_strdup(str_empty(cells[c]) ? "-" : cells[c]);
        table->failed |= !*cell;
    }
    table->count++;
}

int table_print(struct table *table, struct err *err) {
    size_t widths[OUTPUT_COLUMNS] = {0};
    if (table->failed)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < table->count * table->columns; i++)
        if (strlen(table->cells[i]) > widths[i % table->columns])
            widths[i % table->columns] = strlen(table->cells[i]);
    for (size_t i = 0; i < table->count * table->columns; i++) {
        bool last = i % table->columns == table->columns - 1;
        (void)printf("%-*s%s", last ? 0 : (int)widths[i % table->columns], table->cells[i], last ? "\n" : "  ");
    }
    return 0;
}

void table_done(struct table *table) {
    for (size_t i = 0; i < table->count * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

void output_field(const char *name, const char *value) {
    (void)printf("%-18s %s\n", name, str_empty(value) ? "-" : value);
}

const char *output_bytes(int64_t bytes, char buf[static 24]) {
    if (bytes <= 0)
        return "-";
    str_from_bytes(bytes, buf);
    return buf;
}

const char *output_time(const struct json *timestamp, char buf[static 32]) {
    time_t seconds = (time_t)json_get_int(timestamp, "seconds", 0);
    struct tm parts;
    if (!timestamp || !localtime_r(&seconds, &parts) || !strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &parts))
        return "-";
    return buf;
}

static int print_pair(const char *key, const char *text, void *arg) {
    (void)arg;
    (void)printf("  %-16s %s\n", key, text);
    return 0;
}

void output_volume(const struct json *volume) {
    char size[24];
    output_field("id", json_get_text(volume, "volume_id"));
    output_field("capacity", output_bytes(json_get_int(volume, "capacity_bytes", 0), size));
    const struct json *source = json_get(volume, "content_source");
    if (source) {
        const char *snapshot = json_get_text(json_get(source, "snapshot"), "snapshot_id");
        output_field("made from", snapshot ? snapshot : json_get_text(json_get(source, "volume"), "volume_id"));
    }
    const struct json *context = json_get(volume, "volume_context");
    if (json_length(context)) {
        (void)printf("context\n");
        (void)json_each_text(context, print_pair, NULL);
    }
}

void output_snapshot_heading(struct table *table) {
    table_row(table, 5, (const char *[]){"SNAPSHOT", "OF VOLUME", "SIZE", "CREATED", "READY"});
}

void output_snapshot(struct table *table, const struct json *snapshot) {
    char size[24], created[32];
    table_row(table, 5,
              (const char *[]){json_get_text(snapshot, "snapshot_id"), json_get_text(snapshot, "source_volume_id"),
                               output_bytes(json_get_int(snapshot, "size_bytes", 0), size),
                               output_time(json_get(snapshot, "creation_time"), created),
                               json_get_bool(snapshot, "ready_to_use", false) ? "yes" : "no"});
}
