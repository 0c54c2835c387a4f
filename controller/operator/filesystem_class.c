// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/filesystem_class.h"

#include <errno.h>
#include <string.h>

#include "controller/operator/reconciler.h"
#include "csi/local_volume.h"
#include "csi/shared_volume.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

#define PARAMETERS_MAX 64
#define DEFAULT_CLASS "storageclass.kubernetes.io/is-default-class"
#define FS_TYPE "csi.storage.k8s.io/fstype"

static const struct {
    const char *name, *provisioner;
} types[] = {{"Shared", SHARED_DRIVER_NAME}, {"NodeGroup", SHARED_DRIVER_NAME}, {"Local", LOCAL_DRIVER_NAME}};

// Members of a spec that are no parameters.
static const char *const others[] = {"type",         "reclaimPolicy", "volumeBindingMode", "allowVolumeExpansion",
                                     "mountOptions", "default",       "allowedNamespaces"};
// Of these a class has to be made anew (validation of StorageClass updates, Kubernetes' pkg/apis/storage/validation).
static const char *const fixed[] = {"provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"};
static const char *const changing[] = {"allowVolumeExpansion", "mountOptions", "allowedTopologies"};

const char *filesystem_provisioner(const char *type) {
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (str_eq(types[i].name, type))
            return types[i].provisioner;
    return NULL;
}

void filesystem_plan_done(struct filesystem_plan *plan) {
    plan->class = json_free(plan->class);
    free(take_ptr(plan->location));
}

// ---- parameters ------------------------------------------------------------------------------------------------------

struct gathered {
    struct string_pair pairs[PARAMETERS_MAX];
    struct string_map map;
    struct json *parameters; // owns the texts
    struct err *err;
};

static void gathered_done(struct gathered *gathered) {
    (void)json_free(gathered->parameters);
}

// A list is written with commas, as warmUp is.
static int join(const struct json *list, const char *name, struct str *out, struct err *err) {
    for (size_t i = 0; i < json_length(list); i++) {
        const char *text = json_text(json_at(list, i));
        if (str_empty(text) || strchr(text, ','))
            return err_set(err, -EINVAL, "spec.%s: an entry is empty or holds a ','", name);
        (void)str_printf(out, "%s%s", i ? "," : "", text);
    }
    return out->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int gather(const char *key, const struct json *value, void *arg) {
    struct gathered *gathered = arg;
    struct str joined cleanup_str = {0};
    char number[32];
    const char *text = NULL, *name = str_eq(key, "fsType") ? FS_TYPE : key;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (str_eq(key, others[i]))
            return 0;
    int r = 0;
    if (json_is_an_array(value)) {
        r = join(value, key, &joined, gathered->err);
        text = str_text(&joined);
    } else if (!json_scalar_text(value, number, &text)) {
        r = err_set(gathered->err, -EINVAL, "spec.%s is no text or number", key);
    }
    if (r == 0 && gathered->map.count == PARAMETERS_MAX)
        r = err_set(gathered->err, -EINVAL, "spec has more than %d parameters", PARAMETERS_MAX);
    if (r == 0 && json_set_text(gathered->parameters, name, text) < 0)
        r = err_set(gathered->err, -ENOMEM, "out of memory");
    if (r == 0)
        gathered->pairs[gathered->map.count++] =
            (struct string_pair){.key = name, .value = json_get_text(gathered->parameters, name)};
    return r;
}

static int check_shared(const struct gathered *gathered, bool group, char **ret_location, struct err *err) {
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    struct share_location location cleanup(share_location_done) = {0};
    char text[CSI_ID_MAX + 1], *sub_dir cleanup_free = NULL;
    int r = shared_parameters_parse(&gathered->map, &p, err);
    if (r == 0 && group != (p.group.name != NULL))
        r = err_set(err, -EINVAL,
                    group ? "type NodeGroup needs nodeGroup, the group of nodes that may use its volumes"
                          : "nodeGroup goes with type NodeGroup; remove it, or change the type");
    if (r == 0)
        r = shared_parameters_location(&p, &location, err);
    if (r == 0)
        r = share_location_format(&location, text, err);
    if (r == 0 && p.sub_dir) { // with names that every claim could have
        p.pvc_name = p.pvc_name ? p.pvc_name : mem_strdup("claim");
        p.pvc_namespace = p.pvc_namespace ? p.pvc_namespace : mem_strdup("namespace");
        r = shared_sub_dir_resolve(&p, "volume", &sub_dir, err);
    }
    if (r == 0) {
        *ret_location = mem_strdup(text);
        r = *ret_location ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    return r;
}

static int check_local(const struct gathered *gathered, struct err *err) {
    struct local_parameters p cleanup(local_parameters_done) = {0};
    return local_parameters_parse(&gathered->map, &p, err);
}

// ---- the class -------------------------------------------------------------------------------------------------------

static struct json *make_owner(const struct json *object) {
    struct json *list cleanup(json_freep) = json_array_new(), *owner cleanup(json_freep) = json_object_new();
    bool bad = !list || !owner || json_set_text(owner, "apiVersion", STOWAGE_API_VERSION) < 0 ||
               json_set_text(owner, "kind", "FileSystem") < 0 || json_set_text(owner, "name", kube_name(object)) < 0 ||
               json_set_text(owner, "uid", kube_text(object, "metadata.uid")) < 0 ||
               json_set_bool(owner, "controller", true) < 0 || json_set_bool(owner, "blockOwnerDeletion", true) < 0;
    return bad || json_append(list, json_ref(owner)) < 0 ? NULL : take_ptr(list);
}

static struct json *make_metadata(const struct json *object) {
    struct json *metadata cleanup(json_freep) = json_object_new();
    struct json *labels cleanup(json_freep) = json_object_new(), *annotations cleanup(json_freep) = json_object_new();
    const struct json *spec = json_get(object, "spec");
    bool bad = !metadata || json_set_text(metadata, "name", kube_name(object)) < 0 ||
               json_set_text(labels, "app.kubernetes.io/managed-by", "stowage-operator") < 0 ||
               json_set(metadata, "labels", json_ref(labels)) < 0 ||
               json_set(metadata, "ownerReferences", make_owner(object)) < 0;
    if (!bad && json_get_bool(spec, "default", false))
        bad = json_set_text(annotations, DEFAULT_CLASS, "true") < 0 ||
              json_set(metadata, "annotations", json_ref(annotations)) < 0;
    return bad ? NULL : take_ptr(metadata);
}

// Volumes of a group are made for it, whatever node a pod was scheduled to first.
static struct json *make_topologies(const char *group) {
    struct json *list cleanup(json_freep) = json_array_new(), *values cleanup(json_freep) = json_array_new();
    struct json *term cleanup(json_freep) = json_object_new(), *expression cleanup(json_freep) = json_object_new();
    struct json *expressions cleanup(json_freep) = json_array_new();
    bool bad =
        !list || json_append_text(values, group) < 0 || json_set_text(expression, "key", NODE_GROUP_TOPOLOGY_KEY) < 0 ||
        json_set(expression, "values", json_ref(values)) < 0 || json_append(expressions, json_ref(expression)) < 0 ||
        json_set(term, "matchLabelExpressions", json_ref(expressions)) < 0 || json_append(list, json_ref(term)) < 0;
    return bad ? NULL : take_ptr(list);
}

static int copy_text(const struct json *spec, const char *name, const char *fallback, struct json *class) {
    const char *text = json_get_text(spec, name);
    return json_set_text(class, name, str_empty(text) ? fallback : text);
}

static int fill_class(const struct json *object, const struct gathered *gathered, bool local, struct json *class) {
    const struct json *spec = json_get(object, "spec"), *options = json_get(spec, "mountOptions");
    const char *group = json_get_text(spec, "nodeGroup");
    int r = json_set(class, "metadata", make_metadata(object));
    if (r == 0)
        r = json_set(class, "parameters", json_ref(gathered->parameters));
    if (r == 0)
        r = copy_text(spec, "reclaimPolicy", "Delete", class);
    // Where a local volume is, its first pod decides, by all that it asks of a node.
    if (r == 0)
        r = local ? json_set_text(class, "volumeBindingMode", "WaitForFirstConsumer")
                  : copy_text(spec, "volumeBindingMode", "Immediate", class);
    if (r == 0)
        r = json_set_bool(class, "allowVolumeExpansion", json_get_bool(spec, "allowVolumeExpansion", true));
    if (r == 0 && options && json_length(options))
        r = json_set(class, "mountOptions", json_ref(options));
    if (r == 0 && !str_empty(group))
        r = json_set(class, "allowedTopologies", make_topologies(group));
    return r;
}

int filesystem_plan_make(const struct json *object, struct filesystem_plan *ret, struct err *err) {
    struct filesystem_plan plan cleanup(filesystem_plan_done) = {0};
    struct gathered gathered cleanup(gathered_done) = {.parameters = json_object_new(), .err = err};
    const struct json *spec = json_get(object, "spec");
    const char *type = spec ? json_get_text(spec, "type") : NULL;
    gathered.map.items = gathered.pairs;
    plan.provisioner = filesystem_provisioner(type);
    plan.class = json_object_new();
    if (!gathered.parameters || !plan.class)
        return err_set(err, -ENOMEM, "out of memory");
    if (!plan.provisioner)
        return err_set(err, -EINVAL, "spec.type is '%.40s'; give Shared, NodeGroup or Local", type ? type : "");
    bool local = str_eq(type, "Local");
    int r = json_each(spec, gather, &gathered);
    if (r == 0)
        r = local ? check_local(&gathered, err)
                  : check_shared(&gathered, str_eq(type, "NodeGroup"), &plan.location, err);
    if (r < 0)
        return r;
    if (json_set_text(plan.class, "apiVersion", "storage.k8s.io/v1") < 0 ||
        json_set_text(plan.class, "kind", "StorageClass") < 0 ||
        json_set_text(plan.class, "provisioner", plan.provisioner) < 0 ||
        fill_class(object, &gathered, local, plan.class) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = plan;
    plan = (struct filesystem_plan){0};
    return 0;
}

// ---- what is there, and what should be --------------------------------------------------------------------------------

bool filesystem_owns(const struct json *object, const struct json *class) {
    const struct json *owners = kube_value(class, "metadata.ownerReferences");
    for (size_t i = 0; owners && i < json_length(owners); i++)
        if (str_eq(json_get_text(json_at(owners, i), "uid"), kube_text(object, "metadata.uid")))
            return true;
    return false;
}

static bool is_same(const struct json *a, const struct json *b, const char *name) {
    const struct json *left = json_get(a, name), *right = json_get(b, name);
    bool empty_left = !left || (json_is_an_object(left) && json_length(left) == 0);
    bool empty_right = !right || (json_is_an_object(right) && json_length(right) == 0);
    return (empty_left && empty_right) || json_same(left, right);
}

bool filesystem_class_is_other(const struct filesystem_plan *plan, const struct json *class) {
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        if (!is_same(plan->class, class, fixed[i]))
            return true;
    return false;
}

static int patch_default(const struct filesystem_plan *plan, const struct json *class, struct json *patch) {
    const struct json *want = kube_value(plan->class, "metadata.annotations"),
                      *have = kube_value(class, "metadata.annotations");
    bool wanted = want && json_get(want, DEFAULT_CLASS);
    const char *now = have ? json_get_text(have, DEFAULT_CLASS) : NULL;
    if (wanted == str_eq(now, "true"))
        return 0;
    struct json *metadata cleanup(json_freep) = json_object_new(), *annotations cleanup(json_freep) = json_object_new();
    int r = annotations ? json_set_text(annotations, DEFAULT_CLASS, wanted ? "true" : "false") : -ENOMEM;
    if (r == 0)
        r = json_set(metadata, "annotations", json_ref(annotations));
    return r < 0 ? r : json_set(patch, "metadata", json_ref(metadata));
}

int filesystem_class_patch(const struct filesystem_plan *plan, const struct json *class, struct json **ret,
                           struct err *err) {
    struct json *patch cleanup(json_freep) = json_object_new();
    int r = patch ? patch_default(plan, class, patch) : -ENOMEM;
    *ret = NULL;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(changing); i++) {
        const struct json *want = json_get(plan->class, changing[i]);
        if (json_same(want, json_get(class, changing[i])))
            continue;
        r = json_set(patch, changing[i], want ? json_ref(want) : json_null_new());
    }
    if (r < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = json_length(patch) ? take_ptr(patch) : NULL;
    return 0;
}
