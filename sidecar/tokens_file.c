// SPDX-License-Identifier: Apache-2.0
#include "sidecar/tokens_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/mem.h"
#include "sidecar/job.h"

#define FILE_MAX (4 * 1024 * 1024) // bytes
#define TOKENS_MAX 10000

static void mask_token(const char *text, size_t len, char ret[static 16]) {
    int shown = len >= 16 ? 4 : len >= 12 ? 2 : 1;
    (void)snprintf(ret, 16, "%.*s...%s", shown, text, text + len - (size_t)shown);
}

static int parse_expires(const char *text, int64_t *ret_ms) {
    int64_t seconds;
    struct tm tm = {0};
    if (str_to_i64(text, 1, INT64_C(253402300799), &seconds) < 0) {
        const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        if (!end || *end)
            return -EINVAL;
        seconds = timegm(&tm);
    }
    *ret_ms = seconds * 1000;
    return seconds > 0 ? 0 : -EINVAL;
}

static int add_token(struct token_list *list, char *words[static 4], struct err *err) {
    size_t len = strlen(words[0]);
    struct token token = {0};
    if (len < TOKEN_MIN || len > TOKEN_MAX)
        return err_set(err, -EINVAL, "the token has %zu bytes; give %d to %d", len, TOKEN_MIN, TOKEN_MAX);
    int r = label_check("workspace", words[1], strlen(words[1]), err);
    if (r < 0)
        return r;
    if (!str_eq(words[2], "read") && !str_eq(words[2], "write"))
        return err_set(err, -EINVAL, "'%.20s' is no right; give read or write", words[2]);
    if (words[3] && parse_expires(words[3], &token.expires_ms) < 0)
        return err_set(err, -EINVAL, "'%.40s' is no time; give seconds since 1970 or 2027-01-31T12:00:00Z", words[3]);
    if (list->count >= TOKENS_MAX)
        return err_set(err, -EINVAL, "more than %d tokens", TOKENS_MAX);
    hash_sha256(words[0], len, token.digest);
    for (size_t i = 0; i < list->count; i++)
        if (hash_equal(list->items[i].digest, token.digest, sizeof token.digest))
            return err_set(err, -EINVAL, "the token stands in the file twice");
    mask_token(words[0], len, token.mask);
    (void)snprintf(token.workspace, sizeof token.workspace, "%s", words[1]);
    token.write = str_eq(words[2], "write");
    struct token *grown = mem_realloc(list->items, list->count + 1, sizeof *grown);
    if (!grown)
        return err_set(err, -ENOMEM, "out of memory");
    list->items = grown;
    grown[list->count++] = token;
    return 0;
}

static int parse_line(struct token_list *list, char *line, struct err *err) {
    static const char blanks[] = " \t\r";
    char *words[5] = {0};
    char *rest = line;
    size_t count = 0;
    line[strcspn(line, "#")] = '\0';
    for (char *word; count < ARRAY_SIZE(words) && (word = strtok_r(rest, blanks, &rest));)
        words[count++] = word;
    if (count == 0)
        return 0;
    if (count < 3 || count > 4)
        return err_set(err, -EINVAL, "not of the form TOKEN WORKSPACE read|write [EXPIRES]");
    return add_token(list, words, err);
}

static int read_text(const char *path, char **ret, struct err *err) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    char *text cleanup_free = mem_alloc(FILE_MAX + 1);
    size_t len = 0;
    if (fd < 0)
        return err_set(err, -errno, "cannot read the tokens: %s: %s", path, err_name(errno));
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    for (ssize_t n = 1; n > 0 && len < FILE_MAX; len += (size_t)n) {
        n = read(fd, text + len, FILE_MAX - len);
        if (n < 0)
            return err_set(err, -errno, "cannot read the tokens: %s: %s", path, err_name(errno));
    }
    if (len == FILE_MAX)
        return err_set(err, -EINVAL, "%s: %d bytes or more; that is no file of tokens", path, FILE_MAX);
    text[len] = '\0';
    *ret = take_ptr(text);
    return 0;
}

int token_list_read(const char *path, struct token_list *ret, struct err *err) {
    struct token_list list cleanup(token_list_done) = {0};
    char *text cleanup_free = NULL;
    int r = read_text(path, &text, err);
    unsigned number = 0;
    for (char *rest = text, *line; r == 0 && (line = strsep(&rest, "\n"));) {
        number++;
        r = parse_line(&list, line, err);
        if (r < 0)
            (void)err_wrap(err, r, "%s, line %u", path, number);
    }
    if (text)
        explicit_bzero(text, FILE_MAX + 1);
    if (r == 0 && list.count == 0)
        r = err_set(err, -EINVAL, "%s holds no token; write one line TOKEN WORKSPACE read|write", path);
    if (r < 0)
        return r;
    *ret = list;
    list = (struct token_list){0};
    return 0;
}

void token_list_done(struct token_list *list) {
    free(list->items);
    *list = (struct token_list){0};
}

int tokens_generate(const char *path, const char *workspace, const struct clock *clock, struct err *err) {
    unsigned char bytes[16];
    char id[HASH_ID_LEN + 1], line[128];
    if (access(path, F_OK) == 0)
        return 0;
    clock_random(clock, bytes, sizeof bytes);
    hash_encode(bytes, id);
    int len = snprintf(line, sizeof line, "%s %s write\n", id, workspace);
    char *partial cleanup_free = mem_printf("%s.partial", path);
    if (!partial)
        return err_set(err, -ENOMEM, "out of memory");
    int fd cleanup_close = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, 0600) < 0 || write(fd, line, (size_t)len) != len || fsync(fd) < 0 ||
        rename(partial, path) < 0)
        return err_set(err, -errno, "cannot write a token to %s: %s", path, err_name(errno));
    return 0;
}
