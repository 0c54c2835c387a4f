// SPDX-License-Identifier: Apache-2.0
// Asks servers at a fixed rate, whatever their answers take, and prints how long they took: "NUMBER NAME VALUE UNIT" lines, a
// server's number being that of its port.
//
// usage: bench-sidecar-rate [-c CLIENTS] [-r RATE] [-s SECONDS] [-k KEYS] [-t TOKEN] kv-get|queue-send PORT...
//
// The servers have turns of a quarter of a second, SECONDS each together: what else happens on the machine and its disk happens
// to all of them alike. CLIENTS connections and RATE are of the one whose turn it is.
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
#define TURN_NS (250 * NS_PER_MS)
#define SIDES_MAX 4
#define SILENCE_S 30
#define MESSAGE "{\"message\":\"%020llu:%0235d\"}" // 256 bytes of text

struct connection {
    int fd, side;
    bool busy;
    int64_t begun;
    size_t length;
    char in[16384];
};

static long clients = 16, rate = 1000, seconds = 10, keys = 1000;
static const char *token = "";
static bool sends;
static struct connection *all; // `clients` of each side
static struct side {
    uint16_t port;
    int64_t *took;
    size_t count;
    long failed;
} sides[SIDES_MAX];
static int side_count;
static int64_t begin_ns;
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
    struct side *side = &sides[at->side];
    if (at->in[9] != '2' && ++side->failed == 1)
        (void)fprintf(stderr, "bench-sidecar-rate: refused: %.*s\n", 300, at->in);
    at->busy = false;
    if (at->begun >= begin_ns)
        side->took[side->count++] = clock_monotonic(&clock_system) - at->begun;
}

static struct connection *free_one(int side) {
    static long last[SIDES_MAX];
    for (long i = 0; i < clients; i++) {
        struct connection *at = &all[side * clients + (last[side] + i) % clients];
        if (!at->busy) {
            last[side] = (last[side] + i + 1) % clients;
            return at;
        }
    }
    return NULL;
}

static long busy(void) {
    long n = 0;
    for (long i = 0; i < clients * side_count; i++)
        n += all[i].busy;
    return n;
}

static void run(void) {
    struct epoll_event events[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < clients * side_count; i++) {
        all[i].side = (int)(i / clients);
        open_connection(&all[i], epoll, sides[all[i].side].port);
    }
    int64_t step = NS_PER_S / rate, start = clock_monotonic(&clock_system), due = start;
    int64_t end = start + (WARM_UP_NS + seconds * NS_PER_S) * side_count;
    begin_ns = start + WARM_UP_NS * side_count;
    bool late = false;
    serial = (unsigned long long)clock_wall(&clock_system); // other messages than those of any other run
    while (due < end || busy() > 0) {
        int64_t now = clock_monotonic(&clock_system);
        struct connection *at = NULL;
        while (due < end && now >= due && (at = free_one((int)((due - start) / TURN_NS % side_count)))) {
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

static double at_part(const struct side *side, double part) {
    size_t i = (size_t)((double)side->count * part);
    return (double)side->took[i < side->count ? i : side->count - 1] / 1e6;
}

static long tell(int number) {
    static const struct {
        const char *name;
        double part;
    } parts[] = {{"p50", 0.50}, {"p90", 0.90}, {"p99", 0.99}};
    struct side *side = &sides[number];
    if (side->count == 0)
        return 1;
    qsort(side->took, side->count, sizeof *side->took, compare);
    printf("%d rate %.0f 1/s\n%d failed %ld requests\n", number, (double)side->count / (double)seconds, number,
           side->failed);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        printf("%d %s %.4f ms\n", number, parts[i].name, at_part(side, parts[i].part));
    free(side->took);
    return side->failed;
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
    if (argc - optind < 2 || argc - optind > 1 + SIDES_MAX ||
        (strcmp(argv[optind], "kv-get") != 0 && strcmp(argv[optind], "queue-send") != 0)) {
        (void)fprintf(stderr, "usage: bench-sidecar-rate [FLAGS] kv-get|queue-send PORT...\n");
        return 2;
    }
    sends = strcmp(argv[optind], "queue-send") == 0;
    side_count = argc - optind - 1;
    all = mem_array((size_t)(clients * side_count), sizeof *all);
    for (int i = 0; i < side_count; i++) {
        sides[i].port = (uint16_t)number(argv[optind + 1 + i], UINT16_MAX);
        sides[i].took = mem_array((size_t)(2 * seconds * rate + clients), sizeof *sides[i].took);
        if (!all || !sides[i].took)
            die("memory");
    }
    (void)prctl(PR_SET_TIMERSLACK, 1UL); // requests are due to the microsecond
    run();
    long failed = 0;
    for (int i = 0; i < side_count; i++)
        failed += tell(i);
    free(all);
    return failed > 0;
}
