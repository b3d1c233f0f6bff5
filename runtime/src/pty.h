/* SPDX-License-Identifier: MIT */
/* Pseudo terminals: opening them safely, and carrying a person's terminal to one. */
#ifndef SAMPAN_PTY_H
#define SAMPAN_PTY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* Is this descriptor in a devpts instance? (statfs, not the path's name) */
bool is_devpts(int fd);

/* A standard descriptor: only terminals are replaced by a pty. */
enum stdio { STDIO_CLOSED, STDIO_OTHER, STDIO_TTY };
enum stdio stdio_kind(int fd);

/*
 * A new pty of the instance whose root is `pts`, "" or "pts/", below `dir`, or of the host's
 * when `dir` is -1. The slave is taken by TIOCGPTPEER: its path could have been replaced meanwhile. Nothing
 * waits for the master (O_NONBLOCK).
 */
int pty_open(int dir, const char *pts, int *master, int *slave);

/* Window size of `from` to `to`; nothing happens when `from` is no terminal. */
void pty_size(int from, int to);

/*
 * Carries bytes between our terminal and a pty master, without ever blocking on
 * the master. `raw` puts the terminal on stdin in raw mode until proxy_end().
 */
struct proxy {
	int master, from, out;          /* from: what is shown, the master itself as a rule */
	bool in_open, raw, in_tty;
	char escape;                    /* Ctrl-a of Ctrl-a q; 0: none */
	void (*tap)(const char *text, size_t n);        /* sees what is shown, or NULL */
	bool escaped, ended;            /* ended: q was typed, or `from` is at its end */
	char buf[1024];                 /* read from stdin, not yet taken by the master */
	size_t used, sent;
};

void proxy_begin(struct proxy *p, int master, bool read_stdin);
unsigned proxy_poll(const struct proxy *p, struct pollfd *fds);   /* how many of two are set */
void proxy_step(struct proxy *p, const struct pollfd *fds, unsigned n);
void proxy_restore(struct proxy *p);    /* restores the terminal */
void proxy_end(struct proxy *p);        /* shows what is left, restores the terminal */

#endif
