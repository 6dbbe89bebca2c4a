/*
 * site_load SOCKET DATABASE CLIENTS RATE SECONDS SEED ACCOUNTS LOG: the site of `make bench-throttle` on MariaDB: transactions at
 * a fixed rate, open-loop, as pgbench -R makes them on PostgreSQL. Each is due at a moment of a Poisson process, whatever became
 * of those before it; its latency counts from there, so that the wait for a free connection is in it. The log is pgbench's:
 * client, number, µs, script, seconds and µs of the clock at its end, µs that it began late.
 */
#include <math.h>
#include <mysql.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CLIENTS_MOST 64

struct site {
	const char *socket, *database;
	double mean_gap_us;
	int64_t next_due_us, end_us;
	int accounts;
	unsigned short random[3];
	FILE *log;
	pthread_mutex_t lock; /* of all that changes */
};

struct client {
	struct site *site;
	int number;
	pthread_t thread;
};

struct request {
	int64_t due_us;
	int account, delta;
};

static int64_t now_us(void) {
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_until(int64_t us) {
	struct timespec until = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) != 0) {
	}
}

/* False: the time is over. */
static bool next_request(struct site *site, struct request *request) {
	pthread_mutex_lock(&site->lock);
	request->due_us = site->next_due_us;
	request->account = 1 + (int)(erand48(site->random) * site->accounts);
	request->delta = (int)(erand48(site->random) * 1000) - 500;
	site->next_due_us += (int64_t)(-log(1 - erand48(site->random)) * site->mean_gap_us);
	pthread_mutex_unlock(&site->lock);
	return request->due_us < site->end_us;
}

static void query(MYSQL *connection, const char *sql) {
	MYSQL_RES *result;

	if (mysql_query(connection, sql) != 0) {
		fprintf(stderr, "site_load: %s: %s\n", sql, mysql_error(connection));
		exit(1);
	}
	result = mysql_store_result(connection);
	if (result != NULL)
		mysql_free_result(result);
}

static void serve(MYSQL *connection, const struct request *request) {
	char sql[200];

	query(connection, "START TRANSACTION");
	snprintf(sql, sizeof sql, "UPDATE site_account SET balance = balance + %d WHERE id = %d", request->delta, request->account);
	query(connection, sql);
	snprintf(sql, sizeof sql, "SELECT balance FROM site_account WHERE id = %d", request->account);
	query(connection, sql);
	snprintf(sql, sizeof sql, "INSERT INTO site_history VALUES (%d, %d, NOW())", request->account, request->delta);
	query(connection, sql);
	query(connection, "COMMIT");
}

static MYSQL *connect_to(const struct site *site) {
	MYSQL *connection = mysql_init(NULL);

	if (connection == NULL || mysql_real_connect(connection, NULL, "root", NULL, site->database, 0, site->socket, 0) == NULL) {
		fprintf(stderr, "site_load: no connection: %s\n", connection == NULL ? "no memory" : mysql_error(connection));
		exit(1);
	}
	return connection;
}

static void *client_run(void *data) {
	struct client *client = data;
	struct site *site = client->site;
	MYSQL *connection = connect_to(site);
	struct request request;

	for (int number = 0; next_request(site, &request); number++) {
		int64_t begun, ended;

		sleep_until(request.due_us);
		begun = now_us();
		serve(connection, &request);
		ended = now_us();
		pthread_mutex_lock(&site->lock);
		fprintf(site->log, "%d %d %lld 0 %lld %lld %lld\n", client->number, number, (long long)(ended - request.due_us),
		        (long long)(ended / 1000000), (long long)(ended % 1000000), (long long)(begun - request.due_us));
		pthread_mutex_unlock(&site->lock);
	}
	mysql_close(connection);
	mysql_thread_end();
	return NULL;
}

int main(int argc, char **argv) {
	struct client clients[CLIENTS_MOST];
	struct site site = {.lock = PTHREAD_MUTEX_INITIALIZER};
	int count;

	if (argc != 9 || (count = (int)strtol(argv[3], NULL, 10)) < 1 || count > CLIENTS_MOST) {
		fprintf(stderr, "usage: site_load SOCKET DATABASE CLIENTS RATE SECONDS SEED ACCOUNTS LOG\n");
		return 2;
	}
	site.socket = argv[1], site.database = argv[2];
	site.mean_gap_us = 1e6 / strtod(argv[4], NULL);
	site.next_due_us = now_us();
	site.end_us = site.next_due_us + (int64_t)(strtod(argv[5], NULL) * 1e6);
	site.random[0] = (unsigned short)strtol(argv[6], NULL, 10);
	site.accounts = (int)strtol(argv[7], NULL, 10);
	site.log = fopen(argv[8], "w");
	if (site.log == NULL || setvbuf(site.log, NULL, _IOLBF, BUFSIZ) != 0 || mysql_library_init(0, NULL, NULL) != 0) {
		perror("site_load");
		return 1;
	}
	for (int i = 0; i < count; i++) {
		clients[i] = (struct client){.site = &site, .number = i};
		if (pthread_create(&clients[i].thread, NULL, client_run, &clients[i]) != 0) {
			fprintf(stderr, "site_load: no thread\n");
			return 1;
		}
	}
	for (int i = 0; i < count; i++)
		pthread_join(clients[i].thread, NULL);
	return fclose(site.log) == 0 ? 0 : 1;
}
