// SPDX-License-Identifier: Apache-2.0
// How long a change of a key takes to a file that shows it: from the moment before the PUT is sent, and from its answer, until the new
// content is read through DIR/KEY by a program that waits for ..data, as those do that follow a ConfigMap's volume.
//
// usage: bench-sidecar-files -p PORT -t TOKEN -n NAMESPACE -d DIR [-c CHANGES]
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define PATIENCE_MS 10000
#define PAUSE_NS (10 * NS_PER_MS) // between changes: each is one by itself

static struct {
    uint16_t port;
    const char *token, *ns, *dir;
    long changes;
} options = {.changes = 1000};

static void die(const char *what) {
    (void)fprintf(stderr, "bench-sidecar-files: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int connect_store(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(options.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("the store");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_put(int fd, const char *value) {
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "PUT /api/v1/kv/namespaces/%s/values/bench HTTP/1.1\r\nHost: store\r\nAuthorization: Bearer %s\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     options.ns, options.token, strlen(value), value);
    if (n < 0 || n >= (int)sizeof text || send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        die("a request");
}

static bool shows(const char *path, const char *value) {
    char buf[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf);
    if (fd >= 0)
        (void)close(fd);
    return n == (ssize_t)strlen(value) && memcmp(buf, value, (size_t)n) == 0;
}

// One change; in ns since it was sent.
static void change(int store, int notes, const char *path, const char *value, int64_t *ret_answer, int64_t *ret_file) {
    char buf[4096];
    int64_t begun = clock_monotonic(&clock_system);
    *ret_answer = *ret_file = 0;
    send_put(store, value);
    while (!*ret_answer || !*ret_file) {
        struct pollfd wait[] = {{.fd = *ret_answer ? -1 : store, .events = POLLIN},
                                {.fd = *ret_file ? -1 : notes, .events = POLLIN}};
        if (poll(wait, 2, PATIENCE_MS) <= 0) {
            errno = ETIMEDOUT;
            die("a change");
        }
        if (wait[1].revents && read(notes, buf, sizeof buf) > 0 && shows(path, value))
            *ret_file = clock_monotonic(&clock_system) - begun;
        if (wait[0].revents) {
            ssize_t n = recv(store, buf, sizeof buf - 1, 0);
            buf[n > 0 ? n : 0] = '\0';
            if (!str_starts(buf, "HTTP/1.1 2")) // a short answer comes whole
                die(buf);
            *ret_answer = clock_monotonic(&clock_system) - begun;
        }
    }
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void tell(const char *name, int64_t *ns, size_t count) {
    static const struct {
        const char *part;
        unsigned permille;
    } parts[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"max", 1000}};
    qsort(ns, count, sizeof *ns, by_size);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        size_t at = count * parts[i].permille / 1000;
        (void)printf("%s_%s_ms %.3f ms\n", name, parts[i].part, (double)ns[at < count ? at : count - 1] / 1e6);
    }
}

static void read_options(int argc, char **argv) {
    for (int c; (c = getopt(argc, argv, "p:t:n:d:c:")) != -1;)
        switch (c) {
        case 'p':
            options.port = (uint16_t)atoi(optarg);
            break;
        case 't':
            options.token = optarg;
            break;
        case 'n':
            options.ns = optarg;
            break;
        case 'd':
            options.dir = optarg;
            break;
        case 'c':
            options.changes = atol(optarg);
            break;
        default:
            exit(2);
        }
    if (!options.port || !options.token || !options.ns || !options.dir || options.changes < 1) {
        (void)fprintf(stderr, "usage: bench-sidecar-files -p PORT -t TOKEN -n NAMESPACE -d DIR [-c CHANGES]\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    size_t count = (size_t)options.changes;
    int64_t *from_put = mem_array(count, sizeof *from_put), *from_answer = mem_array(count, sizeof *from_answer);
    char *path = mem_printf("%s/bench", options.dir), value[32];
    int store = connect_store(), notes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (!from_put || !from_answer || !path || notes < 0 || inotify_add_watch(notes, options.dir, IN_MOVED_TO) < 0)
        die(options.dir);
    for (size_t i = 0; i < count; i++) {
        struct timespec pause = {.tv_nsec = PAUSE_NS};
        int64_t answer = 0, file = 0;
        (void)snprintf(value, sizeof value, "%zu", i);
        (void)nanosleep(&pause, NULL);
        change(store, notes, path, value, &answer, &file);
        from_put[i] = file;
        from_answer[i] = file > answer ? file - answer : 0; // the file may be there before the answer
    }
    tell("sidecar.file_update", from_put, count);
    tell("sidecar.file_update_after_answer", from_answer, count);
    return 0;
}
