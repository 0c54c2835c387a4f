// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/spec.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static const char how[] = "give NAMESPACE=DIR, or NAMESPACE=DIR:optional";

void project_specs_done(struct project_specs *specs) {
    for (size_t i = 0; i < specs->count; i++)
        project_spec_done(&specs->items[i]);
    free(specs->items);
    *specs = (struct project_specs){0};
}

static int parse_one(const char *text, size_t len, struct project_spec *ret, struct err *err) {
    int r = project_spec_parse(text, len, ret);
    if (r == -ENOMEM)
        return err_set(err, r, "out of memory");
    if (r < 0 || !ret->dir)
        return err_set(err, -EINVAL, "'%.*s' names no namespace of keys; %s", (int)len, text, how);
    if (ret->dir[0] != '/' || strlen(ret->dir) < 2 || strchr(ret->dir, ':'))
        return err_set(err, -EINVAL, "'%.*s' names no directory by its whole path; %s", (int)len, text, how);
    return 0;
}

static int add(struct project_specs *specs, const char *text, size_t len, struct err *err) {
    struct project_spec item cleanup(project_spec_done) = {0};
    int r = parse_one(text, len, &item, err);
    for (size_t i = 0; r == 0 && i < specs->count; i++)
        if (str_eq(specs->items[i].dir, item.dir))
            return err_set(err, -EINVAL, "two namespaces have the directory '%.150s'", item.dir);
    if (r < 0)
        return r;
    struct project_spec *grown = mem_realloc(specs->items, specs->count + 1, sizeof *grown);
    if (!grown)
        return err_set(err, -ENOMEM, "out of memory");
    specs->items = grown;
    grown[specs->count++] = item;
    item = (struct project_spec){0};
    return 0;
}

int project_specs_parse(const struct field_list *items, struct project_specs *ret, struct err *err) {
    struct project_specs specs cleanup(project_specs_done) = {0};
    int r = 0;
    for (size_t i = 0; i < items->count; i++)
        for (const char *at = items->items[i]; r == 0 && *at; at += *at == ',') {
            size_t len = strcspn(at, ",");
            r = add(&specs, at, len, err);
            at += len;
        }
    if (r < 0)
        return r;
    *ret = specs;
    specs = (struct project_specs){0};
    return 0;
}
