/*
 * stream.h - what the observer wants of a TCP socket, for WebSocket and HTTP
 *
 * On a socket that is not TCP (in a test) these do what they can; none of them fails.
 */
#ifndef OBSERVER_STREAM_H
#define OBSERVER_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* What is written goes out at once, and little of it waits in the kernel: there frames only grow
 * stale, and memory is held for those who never read. */
void stream_tune(int socket);

/* Gives the kernel what it takes at once, and returns how many bytes that were: fewer than `length`
 * where the socket is full, 0 too where it is dead. */
size_t stream_send(int socket, const char *bytes, size_t length);

/* Bytes that the peer has acknowledged so far; 0 where that cannot be known. It stands still when
 * the peer does not read. */
uint64_t stream_taken(int socket);

/* Ends it without another word, and frees what the kernel still keeps for a peer that does not
 * read. The descriptor stays open: whoever polls it sees the end. */
void stream_kill(int socket);

#endif
