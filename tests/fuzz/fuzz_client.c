/*
 * fuzz_client.c: one client of the control socket, on a socket pair, before the real dispatcher of control.c. The input
 * is what the client sends; a tab cuts it, and the letter behind it says what happens then (see `act`). Each line that is
 * not empty is answered exactly once, whatever else goes on.
 */
#include "daemon/serve/control.c"

#include "tests/fuzz/fuzz.h"

enum { MAX_KEPT = CLIENT_MAX_CALLS, BIG_BYTES = 100 * 1024 };

struct world {
	struct ev_loop *loop;
	struct control control;
	int fd;
	struct call *kept[MAX_KEPT];
	size_t nkept;
	struct rpc_reader answers;
	size_t answered, asked;
	bool in_line; /* something but an empty line was sent since the last newline */
	bool cr;      /* the last byte was the line's first and a \r */
	bool ended, gone;
};

static void dispatch(void *context, struct call *call) {
	struct world *w = context;
	const char *method = call_method(call);
	if (strcmp(method, "job.pause") == 0) {
		require(w->nkept < MAX_KEPT);
		w->kept[w->nkept++] = call;
	} else if (strcmp(method, "job.show") == 0) {
		autofree char *big = mem_alloc(BIG_BYTES + 1);
		memset(big, 'x', BIG_BYTES);
		call_reply(call, json_pack("{s:s}", "big", big));
	} else if (strcmp(method, "daemon.reload") == 0) {
		struct error err;
		error_set(&err, ERROR_CONFIG, "%s", call_string(call, "text") != NULL ? call_string(call, "text") : "no text");
		call_fail(call, &err);
	} else if (strcmp(method, "events.follow") == 0) {
		call_follow(call, call_string(call, "job"));
		call_reply(call, json_pack("{s:b}", "following", 1));
	} else {
		call_reply(call, json_deep_copy(call_params(call)));
	}
}

static void turn(struct world *w) {
	for (int i = 0; i < 4; i++)
		ev_run(w->loop, EVRUN_NOWAIT);
}

static void answer_kept(struct world *w) {
	if (w->nkept == 0)
		return;
	struct call *call = w->kept[0];
	memmove(w->kept, w->kept + 1, --w->nkept * sizeof *w->kept);
	call_reply(call, json_string("kept"));
}

/* Reads what is there; notifications are counted by nobody. Returns whether something came. */
static bool read_answers(struct world *w) {
	char buffer[65536];
	ssize_t n = recv(w->fd, buffer, sizeof buffer, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	rpc_reader_add(&w->answers, buffer, (size_t)n);
	const char *line = NULL;
	size_t length = 0;
	while (rpc_reader_next(&w->answers, &line, &length) == RPC_LINE_READY) {
		struct rpc_message message;
		struct error err;
		require(rpc_parse_message(line, length, &message, &err));
		w->answered += message.method == NULL;
		rpc_message_free(&message);
	}
	return true;
}

static void drain(struct world *w) {
	do
		turn(w);
	while (read_answers(w));
}

static void count_lines(struct world *w, const char *bytes, size_t length) {
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == '\n') {
			w->asked += w->in_line;
			w->in_line = w->cr = false;
		} else if (bytes[i] == '\r' && !w->in_line && !w->cr) {
			w->cr = true;
		} else {
			w->in_line = true;
		}
	}
}

/* The end of its side ends the last line, too; a lone \r is none. */
static void end_side(struct world *w) {
	if (w->ended)
		return;
	w->ended = true;
	count_lines(w, "\n", 1);
	shutdown(w->fd, SHUT_WR);
}

static void notify(struct world *w) {
	json_t *event = json_pack("{s:s}", "event", "job.started");
	control_notify(&w->control, event, "20261121_x");
	json_decref(event);
}

static void act(struct world *w, char what) {
	switch (what) {
	case 'k': /* a kept call is answered */
		answer_kept(w);
		break;
	case 'r':
		read_answers(w);
		break;
	case 'n':
		notify(w);
		break;
	case 'e': /* it sends no more */
		end_side(w);
		break;
	case 'g': /* it is gone */
		if (!w->gone)
			close(w->fd);
		w->gone = true;
		break;
	default: /* the loop turns */
		turn(w);
	}
}

static void send_bytes(struct world *w, const char *bytes, size_t length) {
	ssize_t n = w->ended || w->gone || length == 0 ? 0 : send(w->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		count_lines(w, bytes, (size_t)n);
}

static void play(struct world *w, const char *bytes, size_t length) {
	while (length > 0) {
		const char *tab = memchr(bytes, '\t', length);
		size_t part = tab != NULL ? (size_t)(tab - bytes) : length;
		send_bytes(w, bytes, part);
		size_t used = part + (tab != NULL) + (tab != NULL && part + 1 < length);
		if (used == part + 2)
			act(w, tab[1]);
		bytes += used;
		length -= used;
	}
}

static void finish_world(struct world *w) {
	while (!w->gone && w->control.nclients > 0 && (drain(w), w->nkept > 0))
		answer_kept(w);
	if (!w->gone) {
		drain(w);
		/* Its memory is bounded by bytes that wait, so only one that didn't read may be without its answers. */
		require(w->answered == w->asked || w->control.nclients == 0);
		require(!w->ended || w->control.nclients == 0 || w->control.clients->following);
		close(w->fd);
	}
	turn(w);
	/* Who has ended its side and then goes unseen is found by the watchdog, some seconds later. */
	require(!w->gone || w->ended || w->nkept > 0 || w->control.nclients == 0);
	if (w->control.clients != NULL)
		client_drop(w->control.clients);
	while (w->nkept > 0)
		answer_kept(w);
	require(w->control.clients == NULL && w->control.nclients == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static struct ev_loop *loop;
	if (loop == NULL)
		loop = ev_loop_new(EVFLAG_AUTO);
	int fds[2];
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	struct world w = {.loop = loop, .fd = fds[0], .answers.max_bytes = RPC_MAX_RESPONSE_BYTES};
	w.control = (struct control){.loop = loop, .dispatch = dispatch, .context = &w};
	admit(&w.control, fds[1]);
	play(&w, (const char *)data, size);
	finish_world(&w);
	rpc_reader_free(&w.answers);
	return 0;
}
