// SPDX-License-Identifier: Apache-2.0
// A directory that changes at once: what lies there after each change, and after a writer was killed before each of its system calls.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/projection/atomic_dir.h"
#include "tests/support/cm.h"

static char root[64], path[96];

// ---- calls that change something: the product's end here ---------------------------------------------------------------

static long calls, killed_before; // the call of this number is never made; 0: all are

static long change(long number, long a, long b, long c, long d, long e) {
    if (++calls == killed_before)
        (void)kill(getpid(), SIGKILL);
    return syscall(number, a, b, c, d, e);
}
int mkdirat(int fd, const char *name, mode_t mode) {
    return (int)change(SYS_mkdirat, fd, (long)name, mode, 0, 0);
}
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    return (int)change(SYS_linkat, from_fd, (long)from, to_fd, (long)to, flags);
}
int symlinkat(const char *target, int fd, const char *name) {
    return (int)change(SYS_symlinkat, (long)target, fd, (long)name, 0, 0);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return (int)change(SYS_renameat2, from_fd, (long)from, to_fd, (long)to, 0);
}
int unlinkat(int fd, const char *name, int flags) {
    return (int)change(SYS_unlinkat, fd, (long)name, flags, 0, 0);
}
int fchmod(int fd, mode_t mode) {
    return (int)change(SYS_fchmod, fd, mode, 0, 0, 0);
}
ssize_t write(int fd, const void *buf, size_t n) {
    if (fd <= STDERR_FILENO)
        return syscall(SYS_write, fd, buf, n);
    size_t half = n > 1 ? n / 2 : n; // in pieces, so that a file can be half written
    return change(SYS_write, fd, (long)buf, (long)half, 0, 0);
}

// ---- time that stands still -------------------------------------------------------------------------------------------

static int64_t now_ns;
static int64_t still(void *ctx) {
    (void)ctx;
    return now_ns;
}
static void by_chance(void *ctx, void *buf, size_t n) {
    (void)ctx;
    clock_random(&clock_system, buf, n);
}
static const struct clock_ops still_ops = {still, still, by_chance};
static const struct clock still_clock = {&still_ops, NULL};

// ---- helpers ------------------------------------------------------------------------------------------------------------

static int set_up(void **state) {
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/stowage-atomic-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    (void)snprintf(path, sizeof path, "%s/files", root);
    now_ns = INT64_C(1795876800) * NS_PER_S; // in 2026
    return 0;
}
static int tear_down(void **state) {
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static struct atomic_dir *opened(int64_t keep_ns) {
    const struct atomic_dir_options options = {
        .path = path, .keep_ns = keep_ns, .keep_bytes = 1 << 20, .clock = &still_clock};
    struct atomic_dir *dir = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(atomic_dir_open(&options, &dir, &err), 0);
    return dir;
}

#define FILE_OF(file_name, text)                                                                                       \
    { .name = file_name, .data = text, .len = sizeof(text) - 1 }
static bool written(struct atomic_dir *dir, const struct atomic_file *files, size_t count) {
    struct err err = ERR_NONE;
    bool changed = false;
    int r = atomic_dir_write(dir, files, count, &changed, &err);
    if (r < 0)
        fail_msg("%s", err_text(&err));
    return changed;
}

static const char *content(const char *name, char buf[static 64]) { // "-": there is none
    char file[256];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    int fd cleanup_close = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, 63);
    buf[n < 0 ? 0 : n] = '\0';
    return n < 0 ? "-" : buf;
}
static void has(const char *name, const char *text) {
    char buf[64];
    assert_string_equal(content(name, buf), text);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}
// Everything in it, as "..data>*|a>..data/a"; versions are "*".
static const char *listing(void) {
    static char text[4096];
    struct dirent **list = NULL;
    int count = scandir(path, &list, NULL, by_name);
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        char file[512], target[64] = "";
        const char *name = list[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            (void)snprintf(file, sizeof file, "%s/%s", path, name);
            bool link = readlink(file, target, sizeof target - 1) > 0;
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s%s", *text ? "|" : "",
                           strncmp(name, "..2", 3) == 0 ? "*" : name, link ? ">" : "",
                           strncmp(target, "..2", 3) == 0 ? "*" : target);
        }
        free(list[i]);
    }
    free(list);
    return text;
}
static ino_t inode(const char *name) {
    char file[256];
    struct stat st;
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    assert_int_equal(stat(file, &st), 0);
    return st.st_ino;
}

static const struct atomic_file first[] = {FILE_OF("a", "one"), FILE_OF("b", "one"), FILE_OF("gone", "x")};
static const struct atomic_file second[] = {FILE_OF("a", "two"), FILE_OF("b", "two"), FILE_OF("new", "y")};

// ---- tests ----------------------------------------------------------------------------------------------------------------

static void it_looks_as_kubelet_leaves_it(void **state) {
    struct atomic_dir *dir cleanup(atomic_dir_freep) = opened(0);
    struct stat st;
    char file[128];
    (void)state;
    (void)umask(077);
    assert_true(written(dir, first, 3));
    (void)umask(022);
    assert_string_equal(listing(), "*|..data>*|a>..data/a|b>..data/b|gone>..data/gone");
    (void)snprintf(file, sizeof file, "%s/a", path);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    (void)snprintf(file, sizeof file, "%s/..data/", path);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_true(written(dir, second, 3));
    assert_string_equal(listing(), "*|..data>*|a>..data/a|b>..data/b|new>..data/new");
    has("a", "two");
    has("new", "y");
    assert_true(written(dir, NULL, 0));
    assert_string_equal(listing(), "*|..data>*");
}

static void nothing_is_written_when_nothing_differs(void **state) {
    struct atomic_dir *dir = opened(0);
    (void)state;
    assert_true(written(dir, first, 3));
    ino_t version = inode("..data/");
    calls = 0;
    assert_false(written(dir, first, 3));
    assert_int_equal(calls, 0);
    dir = atomic_dir_free(dir);
    dir = opened(0); // by another process
    assert_true(atomic_dir_has_version(dir));
    assert_false(written(dir, first, 3));
    assert_int_equal(inode("..data/"), version);
    assert_true(written(dir, first, 2));
    assert_string_equal(listing(), "*|..data>*|a>..data/a|b>..data/b");
    dir = atomic_dir_free(dir);
}

static void what_did_not_change_is_not_written_again(void **state) {
    struct atomic_dir *dir cleanup(atomic_dir_freep) = opened(0);
    const struct atomic_file next[] = {{.name = "a"}, FILE_OF("b", "two"), FILE_OF("gone", "x")};
    struct err err = ERR_NONE;
    bool changed = false;
    (void)state;
    assert_int_equal(atomic_dir_write(dir, next, 3, &changed, &err), -ESTALE); // there is no version before
    assert_string_equal(listing(), "");
    assert_true(written(dir, first, 3));
    ino_t a = inode("a"), b = inode("b"), gone = inode("gone");
    assert_true(written(dir, next, 3));
    assert_int_equal(inode("a"), a);
    assert_int_equal(inode("gone"), gone);
    assert_int_not_equal(inode("b"), b);
    has("a", "one");
    has("b", "two");
    const struct atomic_file missing[] = {{.name = "a"}, {.name = "never"}};
    assert_int_equal(atomic_dir_write(dir, missing, 2, &changed, &err), -ESTALE);
    has("b", "two");
}

static void replaced_versions_stay_as_long_as_said(void **state) {
    struct atomic_dir *dir cleanup(atomic_dir_freep) = opened(NS_PER_S);
    char data[128], buf[8] = "";
    (void)state;
    assert_true(written(dir, first, 3));
    (void)snprintf(data, sizeof data, "%s/..data/", path);
    int held cleanup_close = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(written(dir, second, 3));
    int fd cleanup_close = openat(held, "b", O_RDONLY | O_CLOEXEC); // one that holds it finds the rest of it
    assert_int_equal(read(fd, buf, sizeof buf - 1), 3);
    assert_string_equal(buf, "one");
    assert_int_equal(atomic_dir_tidy(dir), NS_PER_S);
    now_ns += NS_PER_S;
    assert_int_equal(atomic_dir_tidy(dir), DEADLINE_NONE);
    assert_string_equal(listing(), "*|..data>*|a>..data/a|b>..data/b|new>..data/new");
    for (int i = 0; i < 100; i++)
        assert_true(written(dir, i % 2 ? second : first, 3));
    const char *stars = listing();
    int versions = 0;
    for (const char *at = stars; (at = strstr(at, "*|")); at++)
        versions++;
    assert_in_range(versions, 3, 40); // not one for each
}

static void replaced_versions_give_way_to_their_bytes(void **state) {
    static char large[2][400 << 10];
    const struct atomic_file files[2][1] = {{{.name = "a", .data = large[0], .len = sizeof large[0]}},
                                            {{.name = "a", .data = large[1], .len = sizeof large[1]}}};
    struct atomic_dir *dir cleanup(atomic_dir_freep) = opened(NS_PER_S);
    (void)state;
    memset(large[1], 'x', sizeof large[1]);
    for (int i = 0; i < 8; i++)
        assert_true(written(dir, files[i % 2], 1));
    assert_string_equal(listing(), "*|*|*|..data>*|a>..data/a"); // of 1 MiB: two
}

static void names_that_are_the_directorys_own_are_refused(void **state) {
    static const char *const names[] = {"", ".", "..", "..data", "a/b", "..2026"};
    struct atomic_dir *dir cleanup(atomic_dir_freep) = opened(0);
    struct err err = ERR_NONE;
    bool changed = true;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct atomic_file file = {.name = names[i], .data = "x", .len = 1};
        assert_int_equal(atomic_dir_write(dir, &file, 1, &changed, &err), -EINVAL);
        assert_false(changed);
    }
    assert_string_equal(listing(), "");
}

static void others_files_stay_and_taken_names_are_taken_back(void **state) {
    struct atomic_dir *dir = opened(0);
    char command[256];
    (void)state;
    assert_true(written(dir, first, 3));
    dir = atomic_dir_free(dir);
    (void)snprintf(
        command, sizeof command,
        "cd '%s' && echo mine >other && ln -s nowhere mine && rm a && echo theirs >a && ln -s ..data/old old", path);
    assert_int_equal(system(command), 0);
    dir = opened(0);
    assert_false(written(dir, first, 3));
    assert_string_equal(listing(), "*|..data>*|a>..data/a|b>..data/b|gone>..data/gone|mine>nowhere|other");
    dir = atomic_dir_free(dir);
    (void)snprintf(command, sizeof command, "cd '%s' && rm -r ..2*", path);
    assert_int_equal(system(command), 0);
    dir = opened(0); // a link to nowhere
    assert_false(atomic_dir_has_version(dir));
    assert_true(written(dir, first, 3));
    has("a", "one");
    dir = atomic_dir_free(dir);
}

// ---- killed ---------------------------------------------------------------------------------------------------------------

// In a process of its own. True: it came to its end.
static bool write_and_die(long at, int64_t keep_ns, const struct atomic_file *files, size_t count) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct atomic_dir_options options = {
            .path = path, .keep_ns = keep_ns, .keep_bytes = 1 << 20, .clock = &still_clock};
        struct atomic_dir *dir = NULL;
        bool changed = false;
        calls = 0;
        killed_before = at;
        int r = atomic_dir_open(&options, &dir, NULL);
        if (r == 0)
            r = atomic_dir_write(dir, files, count, &changed, NULL);
        (void)atomic_dir_free(dir);
        _exit(r == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || (WIFEXITED(status) && !WEXITSTATUS(status)));
    return WIFEXITED(status);
}

// One version or the other, whole; and by the visible names too.
static bool is_second(void) {
    char a[64], b[64];
    bool ret = strcmp(content("a", a), "two") == 0;
    assert_string_equal(a, ret ? "two" : "one");
    assert_string_equal(content("b", b), a);
    has("..data/a", a);
    has("..data/b", a);
    has("..data/gone", ret ? "-" : "x");
    has("..data/new", ret ? "y" : "-");
    has("gone", ret ? "-" : "x");
    return ret;
}

static void killed_before_each_call_it_leaves_a_whole_version(void **state) {
    bool ended = false, seen_first = false, seen_second = false;
    (void)state;
    for (long at = 1; !ended && at < 200; at++) {
        struct atomic_dir *dir = opened(0);
        (void)written(dir, first, 3);
        dir = atomic_dir_free(dir);
        ended = write_and_die(at, at % 2 ? NS_PER_S : 0, second, 3);
        bool now = is_second();
        *(now ? &seen_second : &seen_first) = true;
        // The next one, which may be killed as well, and then one that is not.
        (void)write_and_die(1 + at % 7, 0, second, 3);
        (void)is_second();
        dir = opened(0);
        (void)written(dir, second, 3);
        assert_true(is_second());
        assert_string_equal(listing(), "*|..data>*|a>..data/a|b>..data/b|new>..data/new");
        dir = atomic_dir_free(dir);
    }
    assert_true(ended && seen_first && seen_second);
}

static void killed_in_the_first_write_it_leaves_nothing_or_all(void **state) {
    bool ended = false;
    char buf[64];
    (void)state;
    for (long at = 1; !ended && at < 100; at++) {
        ended = write_and_die(at, 0, second, 3);
        const char *a = content("a", buf), *is = strcmp(a, "-") == 0 ? content("..data/a", buf) : a;
        assert_true(strcmp(is, "-") == 0 || strcmp(is, "two") == 0);
        struct atomic_dir *dir = opened(0);
        (void)written(dir, second, 3);
        assert_true(is_second());
        assert_string_equal(listing(), "*|..data>*|a>..data/a|b>..data/b|new>..data/new");
        dir = atomic_dir_free(dir);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
    assert_true(ended);
}

// ---- readers meanwhile ------------------------------------------------------------------------------------------------------

static atomic_bool over;
static atomic_int reads, wrong;

static void *read_on(void *arg) {
    char a[64], b[64], data[128], buf[8] = "";
    (void)arg;
    (void)snprintf(data, sizeof data, "%s/..data/", path);
    while (!atomic_load(&over)) {
        const char *one = content("a", a);
        bool fine = strcmp(one, "one") == 0 || strcmp(one, "two") == 0;
        int held = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fd_a = openat(held, "a", O_RDONLY | O_CLOEXEC), fd_b = openat(held, "b", O_RDONLY | O_CLOEXEC);
        memset(b, 0, sizeof b);
        fine = fine && read(fd_a, buf, 3) == 3 && read(fd_b, b, 3) == 3 && strncmp(buf, b, 3) == 0;
        (void)close(held);
        (void)close(fd_a);
        (void)close(fd_b);
        if (!fine)
            atomic_fetch_add(&wrong, 1);
        atomic_fetch_add(&reads, 1);
    }
    return NULL;
}

static void readers_find_every_file_and_no_mix(void **state) {
    struct atomic_dir *dir cleanup(atomic_dir_freep) = opened(NS_PER_S);
    pthread_t thread;
    (void)state;
    assert_true(written(dir, first, 3));
    assert_int_equal(pthread_create(&thread, NULL, read_on, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        int before = atomic_load(&reads);
        assert_true(written(dir, i % 2 ? first : second, 3));
        while (atomic_load(&reads) == before) // so that a reader meets two changes at most, however it is delayed
            (void)sched_yield();
    }
    atomic_store(&over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&wrong), 0);
}

static void without_memory_nothing_changes(void **state) {
    struct atomic_dir *dir cleanup(atomic_dir_freep) = opened(0);
    bool changed = false;
    int r = -ENOMEM;
    (void)state;
    assert_true(written(dir, first, 3));
    for (long n = 1; r < 0 && n < 20; n++) {
        (void)mem_fail_nth(n);
        r = atomic_dir_write(dir, second, 3, &changed, NULL);
        (void)mem_fail_nth(0);
        (void)is_second();
    }
    assert_int_equal(r, 0);
    assert_true(is_second());
    assert_string_equal(listing(), "*|..data>*|a>..data/a|b>..data/b|new>..data/new");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_looks_as_kubelet_leaves_it),
        TEST(nothing_is_written_when_nothing_differs),
        TEST(what_did_not_change_is_not_written_again),
        TEST(replaced_versions_stay_as_long_as_said),
        TEST(replaced_versions_give_way_to_their_bytes),
        TEST(names_that_are_the_directorys_own_are_refused),
        TEST(others_files_stay_and_taken_names_are_taken_back),
        TEST(killed_before_each_call_it_leaves_a_whole_version),
        TEST(killed_in_the_first_write_it_leaves_nothing_or_all),
        TEST(readers_find_every_file_and_no_mix),
        TEST(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
