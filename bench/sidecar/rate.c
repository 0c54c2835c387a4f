// SPDX-License-Identifier: Apache-2.0
// Asks one server at a fixed rate, whatever its answers take, and prints how long they took: "NAME VALUE UNIT" lines.
//
// usage: bench-sidecar-rate [-c CLIENTS] [-r RATE] [-s SECONDS] [-k KEYS] [-t TOKEN] kv-get|queue-send PORT
//
// A request is due at a time of its own. It counts from when it was written; when all connections are still busy then, from
// when it was due, so that a server which stops for a while pays for all that would have been asked meanwhile.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define WARM_UP_NS NS_PER_S
#define SILENCE_S 30
#define MESSAGE "{\"message\":\"%020llu:%0235d\"}" // 256 bytes of text

struct connection {
    int fd;
    bool busy;
    int64_t begun;
    size_t length;
    char in[16384];
};

static long clients = 16, rate = 1000, seconds = 10, keys = 1000, failed;
static const char *token = "";
static bool sends;
static struct connection *all;
static int64_t *took, begin_ns;
static size_t count;
static unsigned long long serial;

static void die(const char *what) {
    (void)fprintf(stderr, "bench-sidecar-rate: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void open_connection(struct connection *at, int epoll, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = at};
    int on = 1;
    at->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (at->fd < 0 || connect(at->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(at->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, at->fd, &event) < 0)
        die("connect");
}

static void ask(struct connection *at, int64_t due, bool late) {
    char text[2048], body[512] = "";
    size_t body_length = 0;
    serial++;
    if (sends)
        body_length = (size_t)snprintf(body, sizeof body, MESSAGE, serial, 0);
    int n = snprintf(text, sizeof text, "%s%09llu",
                     sends ? "" : "GET /api/v1/kv/namespaces/bench/values/key:", serial % (unsigned long long)keys);
    if (sends)
        n = snprintf(text, sizeof text, "POST /api/v1/queue/bench/messages");
    n += snprintf(text + n, sizeof text - (size_t)n, " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n", token);
    if (sends)
        n += snprintf(text + n, sizeof text - (size_t)n, "Content-Length: %zu\r\n", body_length);
    n += snprintf(text + n, sizeof text - (size_t)n, "\r\n%s", body);
    at->busy = true;
    at->length = 0;
    at->begun = late ? due : clock_monotonic(&clock_system);
    if (send(at->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        die("send");
}

static bool is_whole(const struct connection *at) {
    static const char field[] = "\r\nContent-Length: ";
    const char *end = memmem(at->in, at->length, "\r\n\r\n", 4);
    if (!end)
        return false;
    const char *length = memmem(at->in, (size_t)(end - at->in), field, sizeof field - 1);
    size_t body = length ? strtoul(length + sizeof field - 1, NULL, 10) : 0;
    return at->length >= (size_t)(end - at->in) + 4 + body;
}

static void receive(struct connection *at) {
    ssize_t n = recv(at->fd, at->in + at->length, sizeof at->in - at->length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("receive");
    at->length += (size_t)n;
    if (!is_whole(at))
        return;
    if (at->in[9] != '2' && ++failed == 1)
        (void)fprintf(stderr, "bench-sidecar-rate: refused: %.*s\n", 300, at->in);
    at->busy = false;
    if (at->begun >= begin_ns)
        took[count++] = clock_monotonic(&clock_system) - at->begun;
}

static struct connection *free_one(void) {
    static long last;
    for (long i = 0; i < clients; i++) {
        struct connection *at = &all[(last + i) % clients];
        if (!at->busy) {
            last = (last + i + 1) % clients;
            return at;
        }
    }
    return NULL;
}

static long busy(void) {
    long n = 0;
    for (long i = 0; i < clients; i++)
        n += all[i].busy;
    return n;
}

static void run(uint16_t port) {
    struct epoll_event events[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < clients; i++)
        open_connection(&all[i], epoll, port);
    int64_t step = NS_PER_S / rate, due = clock_monotonic(&clock_system), end = due + WARM_UP_NS + seconds * NS_PER_S;
    begin_ns = due + WARM_UP_NS;
    bool late = false;
    serial = (unsigned long long)clock_wall(&clock_system); // other messages than those of any other run
    while (due < end || busy() > 0) {
        int64_t now = clock_monotonic(&clock_system);
        struct connection *at = NULL;
        while (due < end && now >= due && (at = free_one())) {
            ask(at, due, late);
            due += step;
            late = false;
        }
        late = due < end && now >= due;
        int64_t wait = due < end && !late ? due - now : SILENCE_S * NS_PER_S;
        struct timespec timeout = {.tv_sec = wait / NS_PER_S, .tv_nsec = wait > 0 ? wait % NS_PER_S : 0};
        int n = epoll_pwait2(epoll, events, 64, &timeout, NULL);
        if (n < 0 && errno != EINTR)
            die("epoll");
        if (n == 0 && (due >= end || late)) {
            errno = ETIMEDOUT;
            die("wait for the server");
        }
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr);
    }
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static double at_part(double part) {
    size_t i = (size_t)((double)count * part);
    return (double)took[i < count ? i : count - 1] / 1e6;
}

static long number(const char *text, long most) {
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > most) {
        (void)fprintf(stderr, "bench-sidecar-rate: '%s' is no number from 1 to %ld\n", text, most);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv) {
    int flag;
    while ((flag = getopt(argc, argv, "c:r:s:k:t:")) != -1) {
        if (flag == 'c')
            clients = number(optarg, 1000);
        else if (flag == 'r')
            rate = number(optarg, 1000000);
        else if (flag == 's')
            seconds = number(optarg, 3600);
        else if (flag == 'k')
            keys = number(optarg, 1000000);
        else if (flag == 't')
            token = optarg;
        else
            return 2;
    }
    if (argc - optind != 2 || (strcmp(argv[optind], "kv-get") != 0 && strcmp(argv[optind], "queue-send") != 0)) {
        (void)fprintf(stderr, "usage: bench-sidecar-rate [FLAGS] kv-get|queue-send PORT\n");
        return 2;
    }
    sends = strcmp(argv[optind], "queue-send") == 0;
    uint16_t port = (uint16_t)number(argv[optind + 1], UINT16_MAX);
    all = mem_array((size_t)clients, sizeof *all);
    took = mem_array((size_t)(seconds * rate + clients), sizeof *took);
    if (!all || !took)
        die("memory");
    (void)prctl(PR_SET_TIMERSLACK, 1UL); // requests are due to the microsecond
    run(port);
    if (count == 0)
        return 1;
    qsort(took, count, sizeof *took, compare);
    printf("rate %.0f 1/s\np50 %.4f ms\np90 %.4f ms\np99 %.4f ms\nfailed %ld requests\n",
           (double)count / (double)seconds, at_part(0.50), at_part(0.90), at_part(0.99), failed);
    free(all);
    free(took);
    return failed > 0;
}
