// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two streams of bytes, one each way, that must arrive whole, once and in order:
 *
 *	res_stream server PORT REPORT	serves one connection at a time, and closes others
 *	res_stream client HOST PORT STOP	until the file STOP is there; then PASS or FAIL
 *	res_stream probe HOST PORT	connected, refused, or silent for half a second
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "res.h"

#define PIECE 16384

/* What the byte at this offset must be. */
static uint8_t byte_at(uint64_t offset, int seed)
{
	return (offset * 2654435761u >> 13) + (offset >> 20) + seed;
}

struct stream {
	int fd, send_seed, receive_seed;
	uint64_t sent, received;
	bool closing, ended;
};

static void send_some(struct stream *s)
{
	uint8_t data[PIECE];
	ssize_t n;

	for (int i = 0; i < PIECE; i++)
		data[i] = byte_at(s->sent + i, s->send_seed);
	n = send(s->fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN)
		return;
	CHECK(n > 0);
	s->sent += n;
}

static void receive_some(struct stream *s)
{
	uint8_t data[PIECE];
	ssize_t n = recv(s->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	CHECK(n >= 0);
	for (ssize_t i = 0; i < n; i++)
		CHECK(data[i] == byte_at(s->received + i, s->receive_seed));
	s->received += n;
	s->ended = !n;
}

static void step(struct stream *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN | (s->closing ? 0 : POLLOUT)};

	CHECK(poll(&p, 1, 100) >= 0);
	if (p.revents & (POLLIN | POLLERR | POLLHUP))
		receive_some(s);
	if (p.revents & POLLOUT && !s->closing)
		send_some(s);
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};

	CHECK(inet_pton(AF_INET, host, &a.sin_addr) == 1);
	return a;
}

static void report(const char *path, const struct stream *s)
{
	FILE *f = fopen(path, "w");

	CHECK(f);
	fprintf(f, "%llu %llu\n", (unsigned long long)s->received, (unsigned long long)s->sent);
	CHECK(!fclose(f));
}

static int serve(const char *port, const char *path)
{
	struct sockaddr_in a = address("0.0.0.0", port);
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	CHECK(!setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	CHECK(!bind(listener, (struct sockaddr *)&a, sizeof(a)) && !listen(listener, 8));
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct stream s = {.send_seed = 1, .receive_seed = 2};

		s.fd = accept(listener, NULL, NULL);
		CHECK(s.fd >= 0 && !fcntl(listener, F_SETFL, O_NONBLOCK));
		while (!s.ended) {
			int other = accept(listener, NULL, NULL);

			if (other >= 0)
				close(other);
			step(&s);
		}
		CHECK(!fcntl(listener, F_SETFL, 0));
		CHECK(!shutdown(s.fd, SHUT_WR));
		report(path, &s);
		CHECK(!close(s.fd));
	}
}

static int stream(const char *host, const char *port, const char *stop)
{
	struct sockaddr_in a = address(host, port);
	struct stream s = {.send_seed = 2, .receive_seed = 1};

	s.fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s.fd >= 0 && !connect(s.fd, (struct sockaddr *)&a, sizeof(a)));
	puts("connected");
	fflush(stdout);
	while (access(stop, F_OK)) {
		uint64_t before = s.received >> 22;

		step(&s);
		CHECK(!s.ended);
		if (s.received >> 22 != before) {
			puts("flows");
			fflush(stdout);
		}
	}
	s.closing = true;
	CHECK(!shutdown(s.fd, SHUT_WR));
	while (!s.ended)
		step(&s);
	printf("%llu %llu\n", (unsigned long long)s.sent, (unsigned long long)s.received);
	return passed();
}

static int probe(const char *host, const char *port)
{
	struct sockaddr_in a = address(host, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(error);

	connect(fd, (struct sockaddr *)&a, sizeof(a));
	if (!poll(&p, 1, 500)) {
		puts("silent");
		return 0;
	}
	CHECK(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	puts(error ? "refused" : "connected");
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "server"))
		return serve(argv[2], argv[3]);
	if (argc == 5 && !strcmp(argv[1], "client"))
		return stream(argv[2], argv[3], argv[4]);
	CHECK(argc == 4 && !strcmp(argv[1], "probe"));
	return probe(argv[2], argv[3]);
}
