/* accept.c - a server whose host only accepts: each connection goes, with a message, to one of two isolated workers, which talks to the client.  A
 * client that crashes its worker loses its own connection; those of the other worker carry on, and a new worker takes the crashed one's place.
 *
 *     accept [PORT]      with a port (0: any) it serves until it is killed; without one, it is its own client, and ends
 */
#include "tandem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 2 };

/* ---- a worker: a process that gets connections ---- */

static void serve(int client)
{
    char line[256];
    for (ssize_t length; (length = read(client, line, sizeof line)) > 0;) {
        if (length >= 5 && memcmp(line, "crash", 5) == 0) abort();
        for (ssize_t i = 0; i < length; i++) line[i] = (char)toupper((unsigned char)line[i]);
        if (send(client, line, (size_t)length, MSG_NOSIGNAL) != length) break; /* the client may have gone */
    }
    close(client);
}

static int work(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    (void)input, (void)size;
    while (tandem_receive(context, &message, -1) == 0)
        for (size_t i = 0; i < message.fd_count; i++)
            if (message.fds[i] >= 0) serve(message.fds[i]); /* a negative one says why it did not come */
    return 0;
}

/* ---- the host ---- */

struct server {
    tandem_pool *pool;
    tandem_task workers[WORKERS];
    int listener;
    unsigned accepted;
    _Atomic uint32_t ended[WORKERS]; /* 1: that worker has ended and has not been replaced yet */
};

static void on_done(tandem_task *worker)
{
    _Atomic uint32_t *ended = worker->user_data;
    atomic_store(ended, 1);
    tandem_atomic_notify(ended, UINT32_MAX);
}

/* Called at the start, and again when a client has crashed the worker. */
static int start_worker(struct server *server, unsigned which)
{
    tandem_task *worker = &server->workers[which];
    tandem_task_clear(worker);
    *worker = (tandem_task){.run = work,
                            .isolation = TANDEM_PROCESS,
                            .flags = TANDEM_DEDICATED,
                            .name = "worker",
                            .on_done = on_done,
                            .user_data = &server->ended[which]};
    atomic_store(&server->ended[which], 0);
    return tandem_submit(server->pool, worker);
}

/* Goes to the next worker in turn; one that has ended is replaced first. */
static int hand_over(struct server *server, int client)
{
    unsigned which = server->accepted++ % WORKERS;
    tandem_message message = {.fds = &client, .fd_count = 1};
    if (atomic_load(&server->ended[which])) {
        char line[300];
        tandem_describe(&server->workers[which], line, sizeof line);
        puts(line);
        if (start_worker(server, which) != 0) return 1;
    }
    int error = tandem_post(&server->workers[which], &message, -1);
    return error == 0 || error == -EPIPE ? 0 : 1; /* that worker is just ending: this client has to come again */
}

static int accept_all(struct server *server, unsigned most)
{
    for (unsigned i = 0; most == 0 || i < most; i++) {
        int client = accept(server->listener, NULL, NULL);
        if (client < 0) return 1;
        int failed = hand_over(server, client);
        close(client); /* the worker has its own now */
        if (failed) return 1;
    }
    return 0;
}

static int open_listener(uint16_t port, uint16_t *bound)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 16) != 0) return -1;
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) return -1;
    *bound = ntohs(address.sin_port);
    return listener;
}

/* ---- a client, which would be another program ---- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, SOCK_STREAM, 0);
    return server >= 0 && connect(server, (struct sockaddr *)&address, sizeof address) == 0 ? server : -1;
}

/* Checks what comes back; "": the connection has ended. */
static int expect(int server, const char *said, const char *wanted)
{
    char answer[256];
    size_t got = 0, length = strlen(said);
    if (write(server, said, length) != (ssize_t)length) return 1;
    for (ssize_t now; got < length && (now = read(server, answer + got, sizeof answer - 1 - got)) > 0;) got += (size_t)now;
    answer[got] = 0;
    printf("client: %s: %s\n", said, got > 0 ? answer : "(gone)");
    return strcmp(answer, wanted) != 0;
}

struct client {
    struct server *server;
    uint16_t port;
    int failed;
};

static void *be_client(void *argument)
{
    struct client *client = argument;
    uint16_t port = client->port;
    int failed;
    int first = connect_to(port), second = connect_to(port); /* one to each worker */
    failed = first < 0 || second < 0 || expect(first, "hello", "HELLO") || expect(second, "world", "WORLD");
    failed = failed || expect(first, "crash", "");                 /* the worker of this client ends, */
    failed = failed || expect(second, "still here", "STILL HERE"); /* not that of the other, */
    while (!failed && atomic_load(&client->server->ended[0]) == 0) tandem_atomic_wait(&client->server->ended[0], 0, -1);
    int third = failed ? -1 : connect_to(port); /* and the next client gets a new worker */
    failed = failed || third < 0 || expect(third, "again", "AGAIN");
    close(first);
    close(second);
    if (third >= 0) close(third);
    client->failed = failed;
    return NULL;
}

int main(int argc, char **argv)
{
    struct server server = {0};
    uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 0;
    pthread_t thread;
    struct client client = {.server = &server};
    if (tandem_init() != 0 || (server.listener = open_listener(port, &port)) < 0) return 1;
    if (tandem_pool_create(&server.pool, &(tandem_options){.threads = TANDEM_NONE, .processes = 1}) != 0) return 1;
    for (unsigned i = 0; i < WORKERS; i++)
        if (start_worker(&server, i) != 0) return 1;
    printf("serving at 127.0.0.1:%u\n", port);
    client.port = port;
    if (argc <= 1 && pthread_create(&thread, NULL, be_client, &client) != 0) return 1;
    int result = accept_all(&server, argc > 1 ? 0 : 3);
    if (argc <= 1) pthread_join(thread, NULL);
    for (int i = 0; i < WORKERS; i++) tandem_close(&server.workers[i]);
    tandem_pool_drain(server.pool, -1);
    for (int i = 0; i < WORKERS; i++) {
        if (server.workers[i].status != TANDEM_OK) result = 1;
        tandem_task_clear(&server.workers[i]);
    }
    close(server.listener);
    return tandem_pool_destroy(server.pool) != 0 || result != 0 || client.failed ? 1 : 0;
}
