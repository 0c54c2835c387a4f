// SPDX-License-Identifier: Apache-2.0
#include "lib/projection/spec.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define NAMESPACE_MAX 63

void project_spec_done(struct project_spec *spec) {
    free(spec->ns);
    free(spec->dir);
    *spec = (struct project_spec){0};
}

int project_spec_parse(const char *text, size_t len, struct project_spec *ret) {
    static const char optional[] = ":optional";
    struct project_spec spec cleanup(project_spec_done) = {0};
    size_t tail = sizeof optional - 1, name_len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    spec.optional = len > tail && memcmp(text + len - tail, optional, tail) == 0;
    len -= spec.optional ? tail : 0;
    name_len = name_len > len ? len : name_len;
    if (!name_len || name_len > NAMESPACE_MAX || (name_len < len && text[name_len] != '='))
        return -EINVAL;
    spec.ns = mem_strndup(text, name_len);
    spec.dir = name_len < len ? mem_strndup(text + name_len + 1, len - name_len - 1) : NULL;
    if (!spec.ns || (name_len < len && !spec.dir))
        return -ENOMEM;
    *ret = spec;
    spec = (struct project_spec){0};
    return 0;
}

void notify_spec_done(struct notify_spec *spec) {
    free(spec->address);
    free(spec->path);
    *spec = (struct notify_spec){0};
}

// Only the pod's own: a sidecar that could be told to ask anybody would be a way around network policies.
int notify_spec_parse(const char *url, struct notify_spec *ret, struct err *err) {
    static const char *const begins[] = {"http://127.0.0.1:", "http://localhost:", "http://[::1]:"};
    static const char *const hosts[] = {"127.0.0.1", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
        const char *port = str_starts(url, begins[i]) ? url + strlen(begins[i]) : "";
        size_t len = strspn(port, "0123456789"), path_len = strlen(port + len);
        uint64_t number = 0;
        char *digits cleanup_free = mem_strndup(port, len);
        if (!digits)
            return err_set(err, -ENOMEM, "out of memory");
        if (str_to_u64(digits, 1, 65535, &number) < 0 || (path_len && port[len] != '/') ||
            strcspn(port + len, " \t\r\n#") != path_len)
            continue;
        ret->address = mem_printf("%s:%s", hosts[i], digits);
        ret->path = mem_strdup(path_len ? port + len : "/");
        return ret->address && ret->path ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    return err_set(err, -EINVAL, "'%.150s' is no address in this pod: give http://127.0.0.1:PORT/PATH", url);
}
