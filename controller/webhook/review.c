// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/review.h"

#include <errno.h>
#include <string.h>

#include "lib/base/base64.h"

#define API_VERSION "admission.k8s.io/v1"

static int add_patch(struct json *response, const struct json *patch) {
    char *text cleanup_free = json_dump(patch, false);
    char *encoded cleanup_free = text ? base64_encode(text, strlen(text)) : NULL;
    int r = encoded ? json_set_text(response, "patchType", "JSONPatch") : -ENOMEM;
    return r < 0 ? r : json_set_text(response, "patch", encoded);
}

static int add_refusal(struct json *response, const char *message) {
    struct json *status = json_object_new();
    int r = json_set_int(status, "code", 422);
    if (r == 0)
        r = json_set_text(status, "reason", "Invalid");
    if (r == 0)
        r = json_set_text(status, "message", message);
    int set = json_set(response, "status", status);
    return r < 0 ? r : set;
}

static char *compose(const char *uid, const struct json *patch, const char *refusal) {
    struct json *review cleanup(json_freep) = json_object_new(), *response = json_object_new();
    int r = json_set_text(response, "uid", uid);
    if (r == 0)
        r = json_set_bool(response, "allowed", !refusal);
    if (r == 0 && refusal)
        r = add_refusal(response, refusal);
    if (r == 0 && patch)
        r = add_patch(response, patch);
    int set = json_set(review, "response", response);
    bool ok = r == 0 && set == 0 && json_set_text(review, "apiVersion", API_VERSION) == 0 &&
              json_set_text(review, "kind", "AdmissionReview") == 0;
    return ok ? json_dump(review, false) : NULL;
}

int review_answer(const char *body, size_t len, review_fn *decide, void *arg, char **ret,
                  enum review_result *ret_result, struct err *err) {
    struct json *review cleanup(json_freep) = NULL, *patch cleanup(json_freep) = NULL;
    int r = json_parse_body(body, len, REVIEW_MAX, &review, err);
    if (r < 0)
        return r;
    const struct json *request = json_get(review, "request");
    const char *uid = json_get_text(request, "uid");
    if (!uid || !str_eq(json_get_text(review, "apiVersion"), API_VERSION))
        return err_set(err, -EBADMSG, "no AdmissionReview of " API_VERSION " with a request");
    struct err refusal = ERR_NONE;
    r = decide(arg, request, &patch, &refusal);
    if (r < 0 && r != -EINVAL)
        return err_set(err, r, "%s", err_text(&refusal));
    *ret_result = r < 0 ? REVIEW_REFUSED : patch ? REVIEW_CHANGED : REVIEW_LEFT;
    *ret = compose(uid, r < 0 ? NULL : patch, r < 0 ? err_text(&refusal) : NULL);
    return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}
