/*
 * stream.h - what the hub wants of a TCP socket
 *
 * On a socket that is not TCP (in a test) these do what they can; none of them fails.
 */
#ifndef OBSERVER_STREAM_H
#define OBSERVER_STREAM_H

#include <stdint.h>

/* Frames go out at once, and few of them wait in the kernel: there they only grow stale. */
void stream_tune(int socket);

/* Bytes that the peer has acknowledged so far; 0 where that cannot be known. It stands still when
 * the peer does not read. */
uint64_t stream_taken(int socket);

/* Ends it without another word, and frees what the kernel still keeps for a peer that does not
 * read. The descriptor stays open: whoever polls it sees the end. */
void stream_kill(int socket);

#endif
