// SPDX-License-Identifier: Apache-2.0
#include "sidecar/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/jwt.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "sidecar/job.h"
#include "sidecar/reviews.h"
#include "sidecar/sigv4.h"
#include "sidecar/tokens.h"

static const char *bearer_of(const struct http_request *request) {
    const char *header = http_request_header(request, "Authorization");
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    header += 7;
    return header + strspn(header, " ");
}

// The workspace that the path names, or the only one there is.
static int workspace_of_path(struct service *service, const struct http_request *request,
                             char ret[static ENGINE_NAME_MAX + 1], struct err *err) {
    const char *workspace = NULL;
    (void)http_request_prefix(request, &workspace);
    if (!workspace)
        return tokens_only_workspace(service->tokens, ret)
                   ? 0
                   : err_set(err, -EPERM, "give a token, or name the workspace: /api/v2/workspaces/NAME/...");
    if (strlen(workspace) > ENGINE_NAME_MAX)
        return err_set(err, -ENOENT, "no such workspace");
    (void)snprintf(ret, ENGINE_NAME_MAX + 1, "%s", workspace);
    return 0;
}

// -EINPROGRESS: the cluster must be asked first.
static int find_token(struct service *service, struct tokens *tokens, const char *token, struct principal *ret,
                      struct err *err) {
    bool of_cluster = service->reviews && tokens == service->tokens && jwt_looks_like_one(token);
    int r = of_cluster ? reviews_find(service->reviews, token, ret, err) : -EPERM;
    if (r == 0 || (r != -EPERM && r != -EINPROGRESS))
        return r;
    struct err unknown = ERR_NONE;
    int known = tokens_find(tokens, token, strlen(token), ret, &unknown);
    if (known == 0 || !of_cluster)
        return known == 0 ? 0 : err_set(err, known, "%s", err_text(&unknown));
    return r;
}

// The workspace that the path names, for an account that may use every one. Before the first write its quota is set, which waits for
// one commit, once a workspace.
static int enter_workspace(struct service *service, const char *workspace, unsigned access, struct principal *principal,
                           struct err *err) {
    if (label_check("workspace", workspace, strlen(workspace), err) < 0)
        return -EINVAL;
    if (access & ACCESS_WRITE)
        reviews_enter(service->reviews, workspace);
    (void)snprintf(principal->workspace, sizeof principal->workspace, "%s", workspace);
    return 0;
}

static int check_token(struct service *service, struct tokens *tokens, const struct http_request *request,
                       unsigned access, struct principal *ret, struct err *err) {
    const char *token = bearer_of(request), *workspace = NULL;
    (void)http_request_prefix(request, &workspace);
    if (!token)
        return err_set(err, -EPERM, "a token is needed: send 'Authorization: Bearer TOKEN'");
    int r = find_token(service, tokens, token, ret, err);
    if (r < 0)
        return r;
    bool other = workspace && !str_eq(workspace, ret->workspace);
    if (other && !ret->every_workspace)
        return err_set(err, -EACCES, "the token is not for workspace '%.63s'", workspace);
    if (other)
        r = enter_workspace(service, workspace, access, ret, err);
    if (r < 0)
        return r;
    if ((access & ACCESS_WRITE) && !ret->write)
        return err_set(err, -EACCES, "the token may only read");
    return 0;
}

// ---- presigned URLs ----

// Where the client asked: a sidecar or proxy in between says it. It gives no right, for a signature holds for its host only.
static const char *host_of_client(const struct http_request *request) {
    const char *forwarded = http_request_header(request, "X-Forwarded-Host");
    return forwarded ? forwarded : http_request_header(request, "Host");
}

static const char *scheme_of_client(const struct service *service, const struct http_request *request) {
    const char *forwarded = http_request_header(request, "X-Forwarded-Proto");
    if (str_eq(forwarded, "http") || str_eq(forwarded, "https"))
        return forwarded;
    return service->tls ? "https" : "http";
}

// Does a sidecar ask for links that lead through itself? Uploads follow them at once, from where it is; who gets a link to
// read may be somebody else.
static bool wants_local(const struct http_request *request, const char *method) {
    const char *which = http_request_header(request, "Stowage-Local-Links");
    return str_eq(which, "all") || (str_eq(which, "uploads") && str_eq(method, "PUT"));
}

// "https://host:port" without a path → "host:port".
static const char *host_of_url(const char *url) {
    const char *host = url ? strstr(url, "://") : NULL;
    return host ? host + 3 : NULL;
}

static const char *signed_method(const struct http_request *request) {
    switch (http_request_method(request)) {
    case HTTP_GET:
    case HTTP_HEAD: // tells no more than GET
        return "GET";
    case HTTP_PUT:
        return "PUT";
    case HTTP_POST:
        return "POST";
    case HTTP_DELETE:
        return "DELETE";
    default:
        return "OPTIONS";
    }
}

static int check_signature(struct service *service, const struct http_request *request, struct principal *ret,
                           struct err *err) {
    const char *target = http_request_target(request), *query = strchr(target, '?');
    const char *hosts[] = {host_of_client(request), host_of_url(service->public_url)};
    int r = workspace_of_path(service, request, ret->workspace, err);
    if (r < 0)
        return r;
    if (!query)
        return err_set(err, -EPERM, "the URL is not signed");
    r = err_set(err, -EPERM, "the request names no host");
    for (size_t i = 0; r < 0 && i < ARRAY_SIZE(hosts); i++) {
        struct sigv4_request sent = {
            .method = signed_method(request), .host = hosts[i], .path = target, .path_len = (size_t)(query - target)};
        if (hosts[i])
            r = sigv4_verify(service->signer, ret->workspace, &sent, query + 1, strlen(query + 1),
                             clock_wall(service->clock) / NS_PER_S, err);
    }
    if (r < 0)
        r = err->code = -EACCES; // as S3: 403, for a token would not help
    ret->write = r == 0;
    return r;
}

char *access_object_url(const struct service *service, const struct http_request *request, const char *bucket,
                        struct blob key, const char *method) {
    struct str path cleanup_str = {0}, url cleanup_str = {0};
    const char *host = host_of_client(request), *workspace = request_workspace(request);
    bool public = service->public_url && !wants_local(request, method);
    if (public)
        host = host_of_url(service->public_url);
    if (!host)
        host = "localhost";
    (void)str_printf(&path, "/api/v2/workspaces/%s/objects/%s/", workspace, bucket);
    if (sigv4_encode(&path, key.data, key.len, true) < 0)
        return NULL;
    if (public)
        (void)str_append(&url, service->public_url);
    else
        (void)str_printf(&url, "%s://%s", scheme_of_client(service, request), host);
    (void)str_append(&url, path.data);
    if (method) {
        struct sigv4_request request_to_be = {.method = method, .host = host, .path = path.data, .path_len = path.len};
        (void)str_append(&url, "?");
        if (sigv4_presign(service->signer, workspace, &request_to_be, clock_wall(service->clock) / NS_PER_S,
                          SIGV4_EXPIRES_S, &url) < 0)
            return NULL;
    }
    return str_take(&url);
}

// ---- the hook ----

// -EINPROGRESS: not before the cluster was asked; not where it was (`asked`).
static int decide(struct service *service, const struct http_request *request, bool asked, struct principal *ret,
                  struct err *err) {
    unsigned access = http_request_route(request)->access;
    size_t key_len = 0;
    if (access == 0)
        return 0;
    if (access & ACCESS_ADMIN)
        return check_token(service, service->admins, request, access, ret, err);
    if ((access & ACCESS_SIGNED) && http_request_query(request, "X-Amz-Signature", NULL))
        return check_signature(service, request, ret, err);
    (void)http_request_arg(request, "key", &key_len);
    bool public = (access & ACCESS_PUBLIC) && key_len > 0; // the list of keys is not
    int r = check_token(service, service->tokens, request, access, ret, err);
    if (r == -EINPROGRESS && asked)
        r = err_set(err, -EHOSTDOWN, "the cluster cannot be asked whose the token is; try again");
    if (r == 0 || r == -EINPROGRESS || !public)
        return r;
    *ret = (struct principal){0};
    return workspace_of_path(service, request, ret->workspace, err);
}

struct waiting {
    struct service *service;
    struct http_request *request;
};

static void cluster_was_asked(void *arg, int r, const struct err *why) {
    struct waiting *waiting = arg;
    struct err err = ERR_NONE;
    struct principal *principal = http_request_user(waiting->request);
    int decided = decide(waiting->service, waiting->request, true, principal, &err);
    http_request_admit(waiting->request, decided, r < 0 && err.code == -EHOSTDOWN ? why : &err);
    free(waiting);
}

static int ask_cluster(struct service *service, struct http_request *request, struct err *err) {
    struct waiting *waiting = mem_zalloc(sizeof *waiting);
    if (!waiting)
        return err_set(err, -ENOMEM, "out of memory; try again later");
    *waiting = (struct waiting){service, request};
    reviews_ask(service->reviews, bearer_of(request), cluster_was_asked, waiting);
    return -EINPROGRESS;
}

int access_authorize(void *arg, struct http_request *request, struct err *err) {
    struct principal *principal = mem_zalloc(sizeof *principal);
    if (!principal)
        return err_set(err, -ENOMEM, "out of memory; try again later");
    http_request_set_user(request, principal, free);
    int r = decide(arg, request, false, principal, err);
    return r == -EINPROGRESS ? ask_cluster(arg, request, err) : r;
}

int access_holds(struct service *service, const struct http_request *request, struct err *err) {
    struct principal now = {0};
    int r = decide(service, request, false, &now, err);
    if (r == -EINPROGRESS) // long unused, and forgotten: the client comes again, and then it is asked
        r = err_set(err, -EPERM, "the token has to be looked at again");
    if (r == 0 && !str_eq(now.workspace, request_workspace(request)))
        r = err_set(err, -EACCES, "the token is not for workspace '%s' any more", request_workspace(request));
    return r;
}
