// SPDX-License-Identifier: Apache-2.0
// One TCP connection to an NFS server: its thread, the calls on it, and its repair.
//
// Why:     a thread per connection owns socket, calls and timers, so that nothing but the submit queue is locked.
//          READ data is received straight into the caller's buffer, WRITE data sent straight from it.
// Owns:    its requests; never the calls.
// Threads: conn_submit and conn_cancel from any thread; everything else in the connection's own.
// Fails:   a lost connection is made again for ever, with back-off; what was not answered is sent again with the same
//          xid from the same port, so that the server's duplicate request cache can tell (RFC 1813 4.5). A server that
//          was restarted cannot: resend.c. While it cannot be reached, its name is resolved anew.
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/nfs/message.h"

#define CONN_BUCKETS 256

struct conn;
struct net_lookup;

struct req {                 // a call on its way
    struct nfs_call *call;   // what is asked: the caller's, or a probe
    struct nfs_call *origin; // the caller's
    struct nfs_call *probe;  // what a re-sent call's refusal is judged by (resend.c)
    int refusal;
    bool replayed;  // it has the number of a call of before
    bool resent;    // it was sent in full on a connection that was lost: it may have been carried out then
    uint32_t asked; // READ: bytes, before the reply says how many
    struct conn *conn;
    struct req *prev, *next; // in the order of submission: `active` or `waiting`
    struct req *hash_next;
    uint32_t xid;
    int64_t deadline_ns;
    int64_t repeat_ns, repeat_after_ns; // replayed: when it is sent once more
    int64_t retry_ns, delay_ns;         // waiting: when it is sent again, and the pause before that
    const void *tail;                   // a WRITE's data, after msg
    uint32_t tail_len;
    bool parked;       // waits for the connection's client id (NFSv4), not for a time
    unsigned step;     // NFSv4 CREATE takes several compounds; 0: the first
    unsigned renewals; // of the client id
    uint32_t seqid;
    uint64_t owner;
    uint8_t stateid[16];
    size_t msg_len;
    uint8_t *msg;
};

// The two versions of the protocol. All run in the connection's thread.
struct protocol {
    uint32_t version;
    // Writes the arguments; a WRITE sets req->tail. 0, -EMSGSIZE; -EBUSY: park the call until conn_release.
    int (*encode)(struct req *req, struct xdr_out *out);
    uint32_t (*procedure)(const struct req *req);
    const struct nfs_cred *(*cred)(const struct req *req); // NULL: the call's
    // Reads the results into the call. 0 or -errno; -EAGAIN: later again; PROTOCOL_NEXT: encode the next step.
    int (*decode)(struct req *req, struct xdr_in *in);
    // READ: reads up to the data and gives its length; the data are then received without it. Fails as decode.
    int (*decode_read)(struct req *req, struct xdr_in *in, uint32_t *ret_len);
    void (*gone)(struct req *req); // it ends, however; NULL: nothing to do
};
#define PROTOCOL_NEXT 1

struct conn_queue {
    struct req *first, *last;
};

struct conn_input {
    uint8_t *buf; // of `cap` bytes, `len` of them filled
    size_t cap, len;
    size_t used;          // before this everything was looked at
    struct req *data_req; // the READ whose data is being received; NULL with data_left > 0: nobody wants it
    uint8_t *data_at;
    size_t data_left, skip_left; // bytes to the buffer, bytes to be dropped after them
    size_t record_left;          // of a record that nobody waits for
};

struct conn {
    const struct protocol *protocol;
    const struct nfs_cred *default_cred;
    struct sockaddr_storage address;
    bool soft;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cancelled;
    int wake_fd;
    // under `lock`
    struct nfs_call *submitted, **submitted_end; // linked by call->link
    struct cancel *cancels;
    bool closing, ended;
    atomic_uint in_flight;
    // the thread's
    int fd;              // -1: none
    unsigned generation; // of the socket: another one with each loss
    bool connected;
    int64_t retry_at_ns, backoff_ns, connect_by_ns;
    unsigned losses;           // since the last reply
    unsigned index;            // in the share
    atomic_uint *told_port;    // where local_port is told; NULL: nowhere
    uint16_t local_port;       // of the last connection; 0: none yet
    const char *server;        // resolved anew while the address does not answer; NULL: never
    struct net_lookup *lookup; // being resolved
    struct conn_queue active;  // sent or to be sent
    struct conn_queue waiting; // to be sent later
    struct req *next_send;     // the first of `active` that was not sent in full
    size_t sent;               // bytes of it that were
    struct req *buckets[CONN_BUCKETS];
    uint32_t next_xid;
    int64_t next_timer_ns;
    unsigned reads; // READs among `active`
    struct conn_input in;
    uint8_t *scratch; // RPC_CALL_MAX bytes, where calls are encoded
    void *state;      // the protocol's own (NFSv4: client id)
};

int conn_open(struct conn *conn, const struct protocol *protocol, const struct sockaddr_storage *address,
              const struct nfs_cred *default_cred, bool soft) must_check;
// Every call in flight ends with -ECANCELED, also those that `done` submits meanwhile. Then conn_free.
void conn_stop(struct conn *conn);
void conn_free(struct conn *conn);
void conn_submit(struct conn *conn, struct nfs_call *call);
void conn_cancel(struct conn *conn, struct nfs_call *call);

// Between the files of the connection. --------------------------------------------------------------------------------
void conn_finish(struct req *req, int result);          // takes the request out and calls `done`
void conn_start(struct conn *conn, struct req *req);    // encodes the step and queues it for sending
void conn_delay(struct req *req);                       // JUKEBOX: later again
void conn_repeat(struct req *req);                      // once more, under the same number
void conn_release(struct conn *conn);                   // the parked ones may go on
void conn_answered(struct req *req, struct xdr_in *in); // a whole reply
void conn_read_done(struct req *req, int result);       // a READ whose data arrived
void conn_queue_append(struct conn_queue *q, struct req *req);
void conn_queue_remove(struct conn_queue *q, struct req *req);
void conn_set_timer(struct conn *conn, int64_t when); // the loop looks at the calls' times by then
void conn_forget(struct req *req);                    // takes the request out and frees it, without `done`
struct req *conn_find(struct conn *conn, uint32_t xid);
// The result of a call, judged anew when it was re-sent; PROTOCOL_NEXT: the server is asked first.
int conn_judge(struct req *req, int result) must_check;
void conn_lost(struct conn *conn);                   // closes the socket; connects again later
void conn_reconnect(struct conn *conn, int64_t now); // starts connecting
int conn_connected(struct conn *conn) must_check;    // the socket is writable: did it connect?
int conn_send(struct conn *conn) must_check;         // until the socket is full
int conn_receive(struct conn *conn) must_check;      // until the socket is empty
