/*
 * tests/lib/proxy.h - a TCP proxy inside the test that plays a network: delays, cuts in one direction or
 * both, resets, refusals. Partitions without root.
 *
 * A cut is a network that loses packets: bytes wait and nothing of the connection's end is seen on the
 * other side either, because the kernel would retransmit. After a cut ends what waited goes on. It runs one
 * thread of its own; the calls may come from any other.
 */
#ifndef PGK_TESTS_PROXY_H
#define PGK_TESTS_PROXY_H

#include <stddef.h>

struct proxy;

/* Directions, as seen by the database's client. */
enum proxy_cut {
    PROXY_PASS = 0,
    PROXY_CUT_TO_SERVER = 1,
    PROXY_CUT_TO_CLIENT = 2,
    PROXY_CUT_BOTH = 3
};

/* Listens on a port of 127.0.0.1 and connects to the server's socket: "/path/.s.PGSQL.5432" or, with
 * a port > 0, that port of 127.0.0.1. Fails the test if it cannot. */
struct proxy *proxy_start(const char *server_socket, int server_port);
int proxy_port(const struct proxy *proxy);

/* Applies to all connections, present and new. A new one to a cut network is accepted and hangs. */
void proxy_cut(struct proxy *proxy, enum proxy_cut cut);

/* Each piece of data waits this long in each direction. */
void proxy_delay(struct proxy *proxy, int delay_ms);

/* Ends all present connections with RST on both sides. */
void proxy_reset_all(struct proxy *proxy);

/* New connections are reset at once (1), or pass again (0). */
void proxy_refuse(struct proxy *proxy, int refuse);

/* How many connections there are now, and how many were ever made. */
size_t proxy_connections(struct proxy *proxy);
size_t proxy_accepted(struct proxy *proxy);

/* How many bytes have gone to the server, over all connections. */
size_t proxy_passed(struct proxy *proxy);
/* How many round trips there were: how often something went to the server after an answer, or first. */
size_t proxy_round_trips(struct proxy *proxy);

void proxy_stop(struct proxy *proxy);

#endif
