/*
 * tests/lib/proxy.c - see proxy.h. One thread owns all connections; the lock guards what the calls set and
 * the counters. Never blocks but in poll.
 */
#include "proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wait.h"

#define MAX_LINKS 512
#define CHUNK_BYTES 65536

/* One direction: what was read from `from` waits here for `to`. */
struct flow {
    int from;
    int to;
    char *bytes;
    size_t size;
    size_t sent;
    int64_t due_ns;
    bool ended;     /* `from` has sent its end */
    bool end_given; /* and `to` was told */
};

struct link {
    int client;
    int server;
    struct flow flows[2]; /* to server, to client */
    bool asked;           /* what went last went to the server */
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener;
    int wake;
    int port;
    struct sockaddr_storage server;
    socklen_t server_size;
    /* Guarded by the lock. */
    enum proxy_cut cut;
    int delay_ms;
    bool refuse;
    bool reset;
    bool stop;
    size_t accepted;
    size_t round_trips;
    size_t passed; /* bytes to the server */
    size_t count;
    /* The thread's own. */
    struct link links[MAX_LINKS];
};

static void set_nonblocking(int fd)
{
    int one = 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void close_with_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

static void drop_link(struct proxy *proxy, size_t index)
{
    struct link *link = &proxy->links[index];
    close_with_reset(link->client);
    close_with_reset(link->server);
    free(link->flows[0].bytes);
    free(link->flows[1].bytes);
    pthread_mutex_lock(&proxy->lock);
    proxy->links[index] = proxy->links[--proxy->count];
    pthread_mutex_unlock(&proxy->lock);
}

static void accept_link(struct proxy *proxy, bool refuse)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) {
        return;
    }
    int server = socket(proxy->server.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (refuse || proxy->count == MAX_LINKS || server < 0 ||
        connect(server, (struct sockaddr *)&proxy->server, proxy->server_size) != 0) {
        close_with_reset(client);
        if (server >= 0) {
            close(server);
        }
        return;
    }
    set_nonblocking(client);
    set_nonblocking(server);
    struct link link = {.client = client, .server = server};
    link.flows[0] = (struct flow){.from = client, .to = server, .bytes = malloc(CHUNK_BYTES)};
    link.flows[1] = (struct flow){.from = server, .to = client, .bytes = malloc(CHUNK_BYTES)};
    pthread_mutex_lock(&proxy->lock);
    proxy->links[proxy->count++] = link;
    proxy->accepted++;
    pthread_mutex_unlock(&proxy->lock);
}

/* False: the connection is broken. */
static bool read_flow(struct flow *flow, int delay_ms)
{
    ssize_t count = read(flow->from, flow->bytes, CHUNK_BYTES);
    if (count < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    flow->size = (size_t)count;
    flow->sent = 0;
    flow->ended = count == 0;
    flow->due_ns = wait_now_ns() + delay_ms * WAIT_NS_PER_MS;
    return true;
}

static bool write_flow(struct flow *flow)
{
    if (flow->ended) {
        flow->end_given = true;
        shutdown(flow->to, SHUT_WR);
        return true;
    }
    ssize_t count = send(flow->to, flow->bytes + flow->sent, flow->size - flow->sent, MSG_NOSIGNAL);
    if (count < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    flow->sent += (size_t)count;
    if (flow->sent == flow->size) {
        flow->size = 0;
    }
    return true;
}

/* Something has gone to the server, after an answer or on top of a request. */
static void count_bytes(struct proxy *proxy, size_t bytes, bool after_answer)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->passed += bytes;
    proxy->round_trips += after_answer;
    pthread_mutex_unlock(&proxy->lock);
}

static bool flow_is_full(const struct flow *flow)
{
    return flow->size > 0 || flow->ended;
}

/* What a flow waits for; its wake-up time, when it waits for a delay, goes to *due_ns. */
static void plan_flow(const struct flow *flow, bool cut, struct pollfd *poller, int64_t *due_ns)
{
    *poller = (struct pollfd){.fd = -1};
    if (cut || flow->end_given) {
        return;
    }
    if (!flow_is_full(flow)) {
        *poller = (struct pollfd){.fd = flow->from, .events = POLLIN};
    } else if (flow->due_ns > wait_now_ns()) {
        *due_ns = flow->due_ns < *due_ns ? flow->due_ns : *due_ns;
    } else {
        *poller = (struct pollfd){.fd = flow->to, .events = POLLOUT};
    }
}

/* Moves what poll said can be moved. A broken connection is reset on both sides, unless a direction is cut: then
 * the other side must not learn of it. */
static void serve_links(struct proxy *proxy, const struct pollfd *pollers, size_t polled,
                        enum proxy_cut cut, int delay_ms)
{
    for (size_t i = polled; i-- > 0;) {
        struct link *link = &proxy->links[i];
        bool whole = true;
        for (size_t way = 0; way < 2; way++) {
            struct flow *flow = &link->flows[way];
            if (pollers[i * 2 + way].fd < 0 || pollers[i * 2 + way].revents == 0) {
                continue;
            }
            size_t sent = way == 0 ? flow->sent : 0;
            size_t waiting = flow->size; /* it is written now, else read */
            bool fine = flow_is_full(flow) ? write_flow(flow) : read_flow(flow, delay_ms);
            if (way == 0 && flow->sent > sent) {
                count_bytes(proxy, flow->sent - sent, !link->asked);
            }
            link->asked = waiting > 0 ? way == 0 : link->asked;
            if (!fine && cut != PROXY_PASS) {
                flow->size = 0; /* lost on the way */
                flow->end_given = flow->ended = true;
            }
            whole = whole && (fine || cut != PROXY_PASS);
        }
        if (!whole || (link->flows[0].end_given && link->flows[1].end_given && cut == PROXY_PASS)) {
            drop_link(proxy, i);
        }
    }
}

static void *run_proxy(void *arg)
{
    struct proxy *proxy = arg;
    struct pollfd *pollers = calloc(2 + 2 * MAX_LINKS, sizeof(*pollers));
    while (true) {
        pthread_mutex_lock(&proxy->lock);
        enum proxy_cut cut = proxy->cut;
        int delay_ms = proxy->delay_ms;
        bool refuse = proxy->refuse;
        bool reset = proxy->reset;
        bool stop = proxy->stop;
        proxy->reset = false;
        pthread_mutex_unlock(&proxy->lock);
        while ((reset || stop) && proxy->count > 0) {
            drop_link(proxy, proxy->count - 1);
        }
        if (stop) {
            break;
        }
        int64_t due_ns = INT64_MAX;
        pollers[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        pollers[1] = (struct pollfd){.fd = proxy->wake, .events = POLLIN};
        size_t count = proxy->count;
        for (size_t i = 0; i < count; i++) {
            plan_flow(&proxy->links[i].flows[0], cut & PROXY_CUT_TO_SERVER, &pollers[2 + i * 2],
                      &due_ns);
            plan_flow(&proxy->links[i].flows[1], cut & PROXY_CUT_TO_CLIENT, &pollers[3 + i * 2],
                      &due_ns);
        }
        int64_t left_ns = due_ns == INT64_MAX ? -1 : due_ns - wait_now_ns();
        poll(pollers, 2 + 2 * count,
             due_ns == INT64_MAX ? -1
             : left_ns > 0       ? (int)(left_ns / WAIT_NS_PER_MS) + 1
                                 : 0);
        if (pollers[1].revents != 0) {
            uint64_t value;
            (void)!read(proxy->wake, &value, sizeof(value));
            continue; /* orders first */
        }
        serve_links(proxy, pollers + 2, count, cut, delay_ms);
        if (pollers[0].revents != 0) {
            accept_link(proxy, refuse);
        }
    }
    free(pollers);
    return NULL;
}

static void aim(struct proxy *proxy, const char *server_socket, int server_port)
{
    if (server_port > 0) {
        struct sockaddr_in *in = (struct sockaddr_in *)&proxy->server;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)server_port);
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        proxy->server_size = sizeof(*in);
        return;
    }
    struct sockaddr_un *un = (struct sockaddr_un *)&proxy->server;
    un->sun_family = AF_UNIX;
    assert_true(strlen(server_socket) < sizeof(un->sun_path));
    memcpy(un->sun_path, server_socket, strlen(server_socket) + 1);
    proxy->server_size = sizeof(*un);
}

struct proxy *proxy_start(const char *server_socket, int server_port)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy));
    assert_non_null(proxy);
    aim(proxy, server_socket, server_port);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    proxy->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sockaddr_in self = {.sin_family = AF_INET};
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(self);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)&self, sizeof(self)), 0);
    assert_int_equal(listen(proxy->listener, 64), 0);
    assert_int_equal(getsockname(proxy->listener, (struct sockaddr *)&self, &size), 0);
    proxy->port = ntohs(self.sin_port);
    pthread_mutex_init(&proxy->lock, NULL);
    assert_int_equal(pthread_create(&proxy->thread, NULL, run_proxy, proxy), 0);
    return proxy;
}

int proxy_port(const struct proxy *proxy)
{
    return proxy->port;
}

/* Unlocks, and has the thread look at its orders. */
static void give_order(struct proxy *proxy)
{
    uint64_t one = 1;
    pthread_mutex_unlock(&proxy->lock);
    (void)!write(proxy->wake, &one, sizeof(one));
}

void proxy_cut(struct proxy *proxy, enum proxy_cut cut)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->cut = cut;
    give_order(proxy);
}

void proxy_delay(struct proxy *proxy, int delay_ms)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->delay_ms = delay_ms;
    give_order(proxy);
}

void proxy_reset_all(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->reset = true;
    give_order(proxy);
}

void proxy_refuse(struct proxy *proxy, int refuse)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->refuse = refuse != 0;
    give_order(proxy);
}

size_t proxy_connections(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    size_t count = proxy->count;
    pthread_mutex_unlock(&proxy->lock);
    return count;
}

size_t proxy_accepted(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    size_t accepted = proxy->accepted;
    pthread_mutex_unlock(&proxy->lock);
    return accepted;
}

size_t proxy_passed(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    size_t passed = proxy->passed;
    pthread_mutex_unlock(&proxy->lock);
    return passed;
}

size_t proxy_round_trips(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    size_t round_trips = proxy->round_trips;
    pthread_mutex_unlock(&proxy->lock);
    return round_trips;
}

void proxy_stop(struct proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    pthread_mutex_lock(&proxy->lock);
    proxy->stop = true;
    give_order(proxy);
    pthread_join(proxy->thread, NULL);
    pthread_mutex_destroy(&proxy->lock);
    close(proxy->listener);
    close(proxy->wake);
    free(proxy);
}
