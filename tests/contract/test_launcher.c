// SPDX-License-Identifier: Apache-2.0
// One contract for both ways to start a daemon: this process itself, and a service in a process of its own.
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/base/log.h"
#include "lib/mount/launcher.h"
#include "lib/mount/launcher_server.h"

static struct {
    char directory[64], program[96], socket[96], used[96];
    struct launcher launcher;
    pid_t service; // 0: local
} kit;

static bool in_use(const char *mount_point) {
    (void)mount_point;
    return access(kit.used, F_OK) == 0;
}

static int serve(unsigned grace_s) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    struct launcher_server_options options = {.socket = kit.socket,
                                              .program = kit.program,
                                              .signals = signalfd(-1, &set, SFD_CLOEXEC),
                                              .grace_s = grace_s,
                                              .in_use = in_use};
    return launcher_server_run(&options, NULL) == 0 ? 0 : 1;
}

static void start_service(unsigned grace_s) {
    kit.service = fork();
    if (kit.service == 0)
        _exit(serve(grace_s));
    kit.launcher = launcher_service(kit.socket);
    int r = -1;
    for (int i = 0; r < 0 && i < 2000; i++) {
        r = launcher_probe(&kit.launcher, NULL);
        if (r < 0)
            (void)poll(NULL, 0, 5);
    }
    assert_int_equal(r, 0);
}

static void write_program(void) {
    // Says "ready ARGUMENT", and ends at SIGTERM with 0.
    FILE *file = fopen(kit.program, "w");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\ntrap 'exit 0' TERM\necho \"ready $2\" >&3\nexec 3>&-\n"
                        "while :; do sleep 0.05; done\n");
    (void)fclose(file);
    assert_int_equal(chmod(kit.program, 0700), 0);
}

static int make_directory(void) {
    (void)memset(&kit, 0, sizeof kit);
    (void)strcpy(kit.directory, "/tmp/stowage-launcher.XXXXXX");
    if (!mkdtemp(kit.directory))
        return -1;
    (void)snprintf(kit.program, sizeof kit.program, "%s/daemon", kit.directory);
    (void)snprintf(kit.socket, sizeof kit.socket, "%s/mounts.sock", kit.directory);
    (void)snprintf(kit.used, sizeof kit.used, "%s/used", kit.directory);
    write_program();
    return 0;
}
static int with_local(void **state) {
    (void)state;
    int r = make_directory();
    kit.launcher = launcher_local(kit.program);
    return r;
}
static int with_service(void **state) {
    (void)state;
    int r = make_directory();
    if (r == 0)
        start_service(60);
    return r;
}

static int end_service(void) {
    int status = 0;
    (void)kill(kit.service, SIGTERM);
    if (waitpid(kit.service, &status, 0) != kit.service)
        return -1;
    kit.service = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static int tear_down(void **state) {
    (void)state;
    int r = kit.service > 0 ? end_service() : 0;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", kit.directory);
    return system(command) == 0 ? r : -1;
}

static int spawn(const char *mount_point, struct process_id *ret, int *ret_pidfd, struct err *err) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    const char *args[] = {"--mount-point", mount_point, "--server", "s", NULL};
    int r = launcher_spawn(&kit.launcher, args, fds[1], ret, ret_pidfd, err);
    (void)close(fds[1]);
    char line[64] = "", expected[64];
    size_t len = 0;
    for (ssize_t n = 1; n > 0 && len<sizeof line - 1; len += n> 0 ? (size_t)n : 0)
        n = read(fds[0], line + len, sizeof line - 1 - len);
    (void)close(fds[0]);
    (void)snprintf(expected, sizeof expected, "ready %s\n", mount_point);
    if (r == 0) // the daemon has the descriptor, the arguments, and nobody else holds the pipe open
        assert_string_equal(line, expected);
    return r;
}

static bool ended(int pidfd, int ms) {
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    return poll(&fd, 1, ms) > 0;
}

// Of a daemon that has ended, once whoever must reap it has.
static int open_result(const struct process_id *id) {
    int fd cleanup_close = -1;
    return launcher_open(&kit.launcher, id, &fd, NULL);
}

static void a_daemon_is_started_found_signalled_and_gone(void **state) {
    (void)state;
    struct process_id id = {0}, other;
    int pidfd cleanup_close = -1;
    assert_int_equal(spawn("/m/1", &id, &pidfd, NULL), 0);
    assert_true(id.pid > 0 && id.start > 0);
    assert_false(ended(pidfd, 0));
    int again cleanup_close = -1;
    assert_int_equal(launcher_open(&kit.launcher, &id, &again, NULL), 0);
    assert_false(ended(again, 0));
    // Another start time or domain is another process.
    other = id, other.start++;
    assert_int_equal(open_result(&other), -ESRCH);
    assert_int_equal(launcher_signal(&kit.launcher, &other, SIGKILL, NULL), -ESRCH);
    other = id, other.domain[0] = 'x';
    assert_int_equal(open_result(&other), -ESRCH);
    assert_false(ended(pidfd, 0));
    assert_int_equal(launcher_signal(&kit.launcher, &id, SIGTERM, NULL), 0);
    assert_true(ended(pidfd, 20000));
    assert_true(ended(again, 0));
    assert_int_equal(open_result(&id), -ESRCH);
    assert_int_equal(launcher_signal(&kit.launcher, &id, SIGTERM, NULL), -ESRCH);
}

static void a_killed_daemon_is_told_and_the_others_live(void **state) {
    (void)state;
    struct process_id ids[3];
    int pidfds[3] = {-1, -1, -1};
    for (int i = 0; i < 3; i++)
        assert_int_equal(spawn("/m", &ids[i], &pidfds[i], NULL), 0);
    assert_int_equal(launcher_signal(&kit.launcher, &ids[1], SIGKILL, NULL), 0);
    assert_true(ended(pidfds[1], 20000));
    assert_int_equal(open_result(&ids[1]), -ESRCH);
    for (int i = 0; i < 3; i += 2) {
        assert_int_equal(open_result(&ids[i]), 0);
        assert_int_equal(launcher_signal(&kit.launcher, &ids[i], SIGTERM, NULL), 0);
        assert_true(ended(pidfds[i], 20000));
        assert_int_equal(open_result(&ids[i]), -ESRCH);
    }
    for (int i = 0; i < 3; i++)
        (void)close(pidfds[i]);
}

static void a_program_that_cannot_be_started_is_told(void **state) {
    (void)state;
    struct process_id id;
    int pidfd cleanup_close = -1;
    struct err err = ERR_NONE;
    assert_int_equal(unlink(kit.program), 0);
    assert_int_equal(spawn("/m", &id, &pidfd, &err), -ENOENT);
    assert_non_null(strstr(err.msg, kit.program));
}

// ---- the service alone ----

static void nobody_there_is_not_gone(void **state) {
    (void)state;
    struct process_id id = {0};
    int pidfd cleanup_close = -1;
    assert_int_equal(spawn("/m", &id, &pidfd, NULL), 0);
    assert_int_equal(launcher_signal(&kit.launcher, &id, SIGTERM, NULL), 0);
    assert_true(ended(pidfd, 20000));
    assert_int_equal(kill(kit.service, SIGSTOP), 0);
    struct err err = ERR_NONE;
    assert_int_equal(launcher_probe(&kit.launcher, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.msg, kit.socket));
    assert_int_equal(kill(kit.service, SIGCONT), 0);
    assert_int_equal(end_service(), 0);
    assert_int_equal(open_result(&id), -ENOENT);
    kit.launcher = launcher_service("/nowhere/mounts.sock");
    assert_int_equal(launcher_probe(&kit.launcher, &err), -ENOENT);
}

static void only_root_may_use_it_and_only_one_serves(void **state) {
    (void)state;
    struct stat st;
    assert_int_equal(stat(kit.socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    pid_t second = fork();
    if (second == 0)
        _exit(serve(1));
    int status = 0;
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(launcher_probe(&kit.launcher, NULL), 0);
}

static void garbage_does_not_end_it(void **state) {
    (void)state;
    static const char *const messages[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"op\":\"spawn\"}",
        "{\"op\":\"spawn\",\"args\":[]}",
        "{\"op\":\"spawn\",\"args\":[1]}",
        "{\"op\":\"spawn\",\"args\":[\"--serve=/x\"]}",
        "{\"op\":\"open\",\"daemon\":{\"pid\":-1}}",
        "{\"op\":\"signal\",\"daemon\":{\"pid\":1,\"start\":1,\"domain\":\"x\"},\"signal\":19}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        (void)strcpy(address.sun_path, kit.socket);
        int fd cleanup_close = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_true(send(fd, messages[i], strlen(messages[i]), MSG_NOSIGNAL) >= 0);
    }
    assert_int_equal(launcher_probe(&kit.launcher, NULL), 0);
}

static void it_outlives_its_clients_and_a_successor_of_it_finds_what_runs(void **state) {
    (void)state;
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t client = fork();
    if (client == 0) { // asks for a daemon and is killed
        struct process_id id = {0};
        int pidfd = -1;
        int r = spawn("/m", &id, &pidfd, NULL);
        (void)!write(pipe_fds[1], &id, sizeof id);
        (void)kill(getpid(), SIGKILL);
        _exit(r != 0);
    }
    struct process_id id = {0};
    assert_int_equal(read(pipe_fds[0], &id, sizeof id), sizeof id);
    assert_int_equal(waitpid(client, NULL, 0), client);
    assert_int_equal(open_result(&id), 0);
    // The service is killed: its socket is dead, its daemon is not, and the next one knows it.
    assert_int_equal(kill(kit.service, SIGKILL), 0);
    assert_int_equal(waitpid(kit.service, NULL, 0), kit.service);
    start_service(60);
    int pidfd cleanup_close = -1;
    assert_int_equal(launcher_open(&kit.launcher, &id, &pidfd, NULL), 0);
    assert_int_equal(launcher_signal(&kit.launcher, &id, SIGTERM, NULL), 0);
    assert_true(ended(pidfd, 20000));
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void stopping_ends_idle_mounts_and_waits_for_those_in_use(void **state) {
    (void)state;
    struct process_id id = {0}, other;
    int pidfd cleanup_close = -1, none cleanup_close = -1;
    assert_int_equal(close(creat(kit.used, 0600)), 0);
    assert_int_equal(spawn("/m", &id, &pidfd, NULL), 0);
    assert_int_equal(kill(kit.service, SIGTERM), 0);
    int r = 0; // it refuses as soon as it has seen the signal
    for (int i = 0; r == 0 && i < 2000; i++)
        r = spawn("/m", &other, &none, NULL);
    assert_int_equal(r, -ESHUTDOWN);
    assert_false(ended(pidfd, 0));
    assert_int_equal(open_result(&id), 0); // what runs can still be found and ended
    assert_int_equal(unlink(kit.used), 0);
    assert_true(ended(pidfd, 20000));
    int status = 0;
    assert_int_equal(waitpid(kit.service, &status, 0), kit.service);
    kit.service = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(access(kit.socket, F_OK), -1);
}

static void a_second_signal_ends_what_is_in_use(void **state) {
    (void)state;
    struct process_id id = {0};
    int pidfd cleanup_close = -1;
    assert_int_equal(close(creat(kit.used, 0600)), 0);
    assert_int_equal(spawn("/m", &id, &pidfd, NULL), 0);
    while (!ended(pidfd, 50))
        (void)kill(kit.service, SIGTERM);
    int status = 0;
    assert_int_equal(waitpid(kit.service, &status, 0), kit.service);
    kit.service = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define LOCAL(name) cmocka_unit_test_setup_teardown(name, with_local, tear_down)
#define SERVICE(name) cmocka_unit_test_setup_teardown(name, with_service, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        LOCAL(a_daemon_is_started_found_signalled_and_gone),
        SERVICE(a_daemon_is_started_found_signalled_and_gone),
        LOCAL(a_killed_daemon_is_told_and_the_others_live),
        SERVICE(a_killed_daemon_is_told_and_the_others_live),
        LOCAL(a_program_that_cannot_be_started_is_told),
        SERVICE(a_program_that_cannot_be_started_is_told),
        SERVICE(nobody_there_is_not_gone),
        SERVICE(only_root_may_use_it_and_only_one_serves),
        SERVICE(garbage_does_not_end_it),
        SERVICE(it_outlives_its_clients_and_a_successor_of_it_finds_what_runs),
        SERVICE(stopping_ends_idle_mounts_and_waits_for_those_in_use),
        SERVICE(a_second_signal_ends_what_is_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
