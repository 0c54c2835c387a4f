// SPDX-License-Identifier: Apache-2.0
// Loads one server with one operation and prints what it did: "NAME VALUE UNIT" lines.
//
// usage: bench-store-load [-c CLIENTS] [-s SECONDS | -n COUNT] [-f] [-b BYTES] [-k KEYS] [-t TOKEN] [-u PREFIX] [-p PID,…]
//                         PROTOCOL OPERATION PORT
//   PROTOCOL   http, redis, etcd, nats             OPERATION   kv-put, kv-get, queue, object-put, object-get
//   -n, -f     so many operations; -f: on the keys in order, to fill a store (without: on keys by chance)
//   -p         the server's processes, whose processor time is told
// queue: a message is sent, one received, and that one acknowledged: one operation of three requests.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/store/load.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define WARM_UP_NS (500 * NS_PER_MS)
#define SILENCE_MS 60000 // of the server, then the run has failed
#define IN_MAX (64u << 10)
#define SLOTS 1024 // of the histogram: 32 for each power of two

struct connection {
    struct client client;
    int fd;
    size_t sent, in_length;
    uint64_t random;
    int64_t started;
    bool resting;
    char in[IN_MAX];
};

static const char *const operation_names[] = {"kv-put", "kv-get", "queue", "object-put", "object-get"};
static const struct protocol *const protocols[] = {&protocol_http, &protocol_redis, &protocol_etcd, &protocol_nats};

static char value[VALUE_MAX], skipped[1u << 20];
static struct load load = {.keys = 100000, .bytes = 256, .value = value, .prefix = "/"};
static const struct protocol *protocol;
static long clients = 1, seconds = 3, count, begun, working;
static bool in_order;
static char *pids;
static uint64_t serial;
static long done, failed;
static long slots[SLOTS];
static int64_t end_ns;

static void die(const char *what) {
    (void)fprintf(stderr, "bench-store-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

// ---- what protocols use -------------------------------------------------------------------------------------------

void client_say_bytes(struct client *c, const void *data, size_t length) {
    if (length > sizeof c->out - c->out_length) {
        errno = EMSGSIZE;
        die("request");
    }
    memcpy(c->out + c->out_length, data, length);
    c->out_length += length;
}

void client_say(struct client *c, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    client_say_bytes(c, text, length < (int)sizeof text ? (size_t)length : sizeof c->out + 1);
}

void client_say_message(struct client *c) {
    char head[32];
    size_t length = (size_t)snprintf(head, sizeof head, "%020llu:", (unsigned long long)c->serial);
    client_say_bytes(c, head, length);
    client_say_bytes(c, load.value, load.bytes - length);
}

size_t line_length(const char *data, size_t length) {
    const char *end = memmem(data, length, "\r\n", 2);
    return end ? (size_t)(end - data) + 2 : 0;
}

// ---- figures ------------------------------------------------------------------------------------------------------

static size_t slot_of(int64_t us) {
    uint64_t v = us < 0 ? 0 : (uint64_t)us;
    if (v < 32)
        return (size_t)v;
    unsigned shift = 63u - (unsigned)__builtin_clzll(v) - 5;
    size_t slot = (size_t)(shift + 1) * 32 + (size_t)(v >> shift) - 32;
    return slot < SLOTS ? slot : SLOTS - 1;
}

static double slot_us(size_t slot) {
    return slot < 32 ? (double)slot : (double)((slot % 32 + 32) << (slot / 32 - 1));
}

static double percentile(double part) {
    long rank = (long)((double)done * part), seen = 0;
    for (size_t i = 0; i < SLOTS; i++)
        if ((seen += slots[i]) > rank)
            return slot_us(i);
    return slot_us(SLOTS - 1);
}

static double seconds_of(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double own_cpu(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static double server_cpu(void) {
    char list[1024], *rest = list;
    double sum = 0;
    (void)snprintf(list, sizeof list, "%s", pids ? pids : "");
    for (char *pid; (pid = strsep(&rest, ","));) {
        char path[64], line[1024];
        unsigned long user = 0, kernel = 0;
        (void)snprintf(path, sizeof path, "/proc/%s/stat", pid);
        FILE *file = *pid ? fopen(path, "re") : NULL;
        if (!file)
            continue;
        const char *after = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        if (after && sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) == 2)
            sum += (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
        (void)fclose(file);
    }
    return sum;
}

// ---- connections --------------------------------------------------------------------------------------------------

static bool may_begin(int64_t t) {
    return count > 0 ? begun < count : t < end_ns;
}

static void send_out(struct connection *at) {
    struct client *c = &at->client;
    while (at->sent < c->out_length || c->body_to_send > 0) {
        bool head = at->sent < c->out_length;
        size_t length = head ? c->out_length - at->sent : c->body_to_send < VALUE_MAX ? c->body_to_send : VALUE_MAX;
        ssize_t n = send(at->fd, head ? c->out + at->sent : load.value, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die("send");
        if (head)
            at->sent += (size_t)n;
        else
            c->body_to_send -= (uint64_t)n;
    }
    c->out_length = at->sent = 0;
}

static void begin(struct connection *at) {
    struct client *c = &at->client;
    at->started = clock_monotonic(&clock_system);
    if (!may_begin(at->started)) {
        at->resting = true;
        working--;
        return;
    }
    at->random = at->random * 6364136223846793005u + 1442695040888963407u;
    c->key = in_order ? (unsigned)begun % load.keys : (unsigned)((at->random >> 33) % load.keys);
    c->serial = serial++;
    c->step = 0;
    begun++;
    protocol->ask(c);
    send_out(at);
}

static void ended(struct connection *at) {
    struct client *c = &at->client;
    if (c->failed && ++failed == 1)
        (void)fprintf(stderr, "bench-store-load: refused at step %d: %.*s\n", c->step, 200, at->in);
    c->answered = false;
    if (!c->failed && c->step < c->last_step) {
        c->step++;
        protocol->ask(c);
        send_out(at);
        return;
    }
    c->failed = false;
    done++;
    slots[slot_of((clock_monotonic(&clock_system) - at->started) / 1000)]++;
    begin(at);
}

static void consume(struct connection *at) {
    struct client *c = &at->client;
    size_t used = 0;
    while (used < at->in_length && !c->answered) {
        size_t n = protocol->answer(c, at->in + used, at->in_length - used);
        if (n == 0)
            break;
        used += n;
    }
    if (used == 0 && at->in_length == sizeof at->in) {
        errno = EMSGSIZE;
        die("answer");
    }
    at->in_length -= used;
    memmove(at->in, at->in + used, at->in_length);
}

// False when there is nothing more to be had now.
static bool receive(struct connection *at) {
    struct client *c = &at->client;
    bool skip = c->body_to_skip > 0; // MSG_TRUNC: TCP drops the bytes without copying them
    ssize_t n = skip ? recv(at->fd, skipped, c->body_to_skip < sizeof skipped ? c->body_to_skip : sizeof skipped,
                            MSG_DONTWAIT | MSG_TRUNC)
                     : recv(at->fd, at->in + at->in_length, sizeof at->in - at->in_length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        errno = n == 0 ? ECONNRESET : errno;
        die("receive");
    }
    if (skip) {
        c->body_to_skip -= (uint64_t)n;
    } else {
        at->in_length += (size_t)n;
        consume(at);
    }
    if (c->answered && c->body_to_skip == 0)
        ended(at);
    if (c->out_length > 0)
        send_out(at); // the protocol's own, such as the answer to a ping
    return !at->resting;
}

static void connect_to(struct connection *at, int epoll, unsigned number, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = at};
    at->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (at->fd < 0 || connect(at->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(at->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        die("connect");
    if (load.bytes > INLINE_MAX) // more than the socket takes at once
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, at->fd, &event) < 0)
        die("epoll_ctl");
    at->client.load = &load;
    at->client.number = number;
    at->client.last_step = load.operation == QUEUE ? protocol->queue_steps - 1 : 0;
    at->random = number * 7919u + 1;
    if (protocol->greet)
        protocol->greet(&at->client);
}

// ---- the run ------------------------------------------------------------------------------------------------------

static void run(uint16_t port) {
    struct connection *all = mem_array((size_t)clients, sizeof *all);
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all || epoll < 0)
        die("clients");
    for (long i = 0; i < clients; i++)
        connect_to(&all[i], epoll, (unsigned)i, port);
    int64_t began = clock_monotonic(&clock_system), warm = count > 0 ? began : began + WARM_UP_NS;
    bool measuring = count > 0;
    double own = own_cpu(), server = server_cpu();
    end_ns = warm + seconds * NS_PER_S;
    working = clients;
    serial = (uint64_t)clock_wall(&clock_system); // another message than those of any other run
    for (long i = 0; i < clients; i++)
        begin(&all[i]);
    while (working > 0) {
        int n = epoll_wait(epoll, events, 256, SILENCE_MS);
        if (n == 0)
            errno = ETIMEDOUT;
        if (n == 0 || (n < 0 && errno != EINTR))
            die("wait for the server");
        for (int i = 0; i < n; i++) {
            struct connection *at = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_out(at);
            bool more = !at->resting && (events[i].events & EPOLLIN);
            while (more)
                more = receive(at) && load.bytes > INLINE_MAX; // which are told by edges
        }
        if (!measuring && clock_monotonic(&clock_system) >= warm) {
            measuring = true;
            began = clock_monotonic(&clock_system);
            own = own_cpu();
            server = server_cpu();
            done = 0;
            memset(slots, 0, sizeof slots);
        }
    }
    double took = (double)(clock_monotonic(&clock_system) - began) / NS_PER_S;
    printf("rate %.2f 1/s\np50 %.0f us\np99 %.0f us\nfailed %ld operations\nclient_cpu %.2f processors\n"
           "server_cpu %.2f processors\n",
           (double)done / took, percentile(0.50), percentile(0.99), failed, (own_cpu() - own) / took,
           (server_cpu() - server) / took);
    free(all);
}

static long number(const char *text, long most) {
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > most) {
        (void)fprintf(stderr, "bench-store-load: '%s' is no number from 1 to %ld\n", text, most);
        exit(2);
    }
    return n;
}

static uint16_t read_arguments(int argc, char **argv) {
    int flag;
    while ((flag = getopt(argc, argv, "c:s:n:fb:k:t:u:p:")) != -1) {
        if (flag == 'c')
            clients = number(optarg, 10000);
        else if (flag == 's')
            seconds = number(optarg, 3600);
        else if (flag == 'n')
            count = number(optarg, 1000000000);
        else if (flag == 'f')
            in_order = true;
        else if (flag == 'b')
            load.bytes = (size_t)number(optarg, 5L << 30);
        else if (flag == 'k')
            load.keys = (unsigned)number(optarg, 100000000);
        else if (flag == 't')
            load.token = optarg;
        else if (flag == 'u')
            load.prefix = optarg;
        else if (flag == 'p')
            pids = optarg;
        else
            exit(2);
    }
    if (argc - optind != 3) {
        (void)fprintf(stderr,
                      "usage: bench-store-load [FLAGS] PROTOCOL OPERATION PORT (see the head of bench/store/main.c)\n");
        exit(2);
    }
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(argv[optind], protocols[i]->name) == 0)
            protocol = protocols[i];
    load.operation = OPERATIONS;
    for (unsigned i = 0; i < OPERATIONS; i++)
        if (strcmp(argv[optind + 1], operation_names[i]) == 0)
            load.operation = (enum operation)i;
    if (!protocol || load.operation == OPERATIONS || !protocol->can[load.operation]) {
        (void)fprintf(stderr, "bench-store-load: no '%s' with '%s'\n", argv[optind + 1], argv[optind]);
        exit(2);
    }
    return (uint16_t)number(argv[optind + 2], UINT16_MAX);
}

int main(int argc, char **argv) {
    uint16_t port = read_arguments(argc, argv);
    memset(value, 'v', sizeof value);
    run(port);
    return failed > 0;
}
