/* chat.c - several workers in one room: what anyone says goes through a channel to the host, which repeats it to all of them, by a broadcast.
 * Two of them are processes, one is a thread; they run the same function, and all hear the same, in the same order.
 *
 *     ada: good morning
 *     grace: good morning
 *     ada: it is about 1
 *     ...
 *     grace leaves: ok
 */
#include "tandem.h"

#include <stdio.h>
#include <string.h>

enum { PEOPLE = 3, LINES = 4, LINE = 80 };

/* What a worker is told: where to speak, and where to listen. */
struct seat {
    tandem_channel *desk, *room; /* they lie in shared memory, so these pointers are good in every process */
    int subscriber;
    char name[16];
};

static int say(const struct seat *seat, int number)
{
    char line[LINE];
    int length = number == 0 ? snprintf(line, sizeof line, "%s: good morning", seat->name)
                             : snprintf(line, sizeof line, "%s: it is about %d", seat->name, number);
    return tandem_channel_send(seat->desk, line, (size_t)length, -1);
}

/* Says its next line once it has heard its last one; its reply is everything it has heard. */
static int take_part(tandem_context *context, void *input, size_t size)
{
    struct seat seat;
    char line[LINE], heard[PEOPLE * LINES * LINE] = "";
    int said = 0;
    if (size != sizeof seat) return 1;
    memcpy(&seat, input, sizeof seat);
    if (say(&seat, said++) != 0) return 1;
    for (ssize_t length; (length = tandem_channel_receive(seat.room, seat.subscriber, line, sizeof line - 1, -1)) >= 0;) {
        line[length] = 0;
        strcat(strcat(heard, line), "\n");
        if (strncmp(line, seat.name, strlen(seat.name)) == 0 && said < LINES && say(&seat, said++) != 0) return 1;
    }
    return tandem_reply(context, heard, strlen(heard)); /* the room is closed */
}

/* The host: each line that comes to the desk goes to the room. */
static int moderate(tandem_channel *desk, tandem_channel *room)
{
    char line[LINE];
    for (int i = 0; i < PEOPLE * LINES; i++) {
        ssize_t length = tandem_channel_receive(desk, 0, line, sizeof line, 60000);
        if (length < 0 || tandem_channel_send(room, line, (size_t)length, 60000) != 0) return 1;
        printf("%.*s\n", (int)length, line);
    }
    return 0;
}

static const char *const names[PEOPLE] = {"ada", "grace", "edsger"};

static int chat(tandem_pool *pool)
{
    struct seat seats[PEOPLE];
    tandem_task tasks[PEOPLE];
    tandem_channel *desk, *room;
    if (tandem_channel_create(pool, &desk, NULL) != 0) return 1;
    if (tandem_channel_create(pool, &room, &(tandem_channel_options){.message_size = LINE, .subscribers = PEOPLE}) != 0) return 1;
    for (int i = 0; i < PEOPLE; i++) { /* before anyone speaks, so that all hear everything */
        seats[i] = (struct seat){.desk = desk, .room = room, .subscriber = tandem_channel_subscribe(room)};
        snprintf(seats[i].name, sizeof seats[i].name, "%s", names[i]);
        if (seats[i].subscriber < 0) return 1;
    }
    for (int i = 0; i < PEOPLE; i++) {
        tasks[i] = (tandem_task){.run = take_part,
                                 .input = &seats[i],
                                 .input_size = sizeof seats[i],
                                 .isolation = i < PEOPLE - 1 ? TANDEM_PROCESS : TANDEM_THREAD,
                                 .flags = TANDEM_DEDICATED,
                                 .name = names[i]};
        if (tandem_submit(pool, &tasks[i]) != 0) return 1;
    }
    int failed = moderate(desk, room);
    tandem_channel_close(room);
    for (int i = 0; i < PEOPLE; i++) {
        int status = tandem_wait(&tasks[i]);
        printf("%s leaves: %s\n", names[i], tandem_status_name(status));
        if (status != TANDEM_OK || strcmp(tasks[i].output, tasks[0].output) != 0) failed = 1; /* all must have heard the same */
    }
    for (int i = 0; i < PEOPLE; i++) tandem_task_clear(&tasks[i]);
    tandem_channel_destroy(desk);
    tandem_channel_destroy(room);
    return failed;
}

int main(void)
{
    tandem_pool *pool;
    if (tandem_init() != 0 || tandem_pool_create(&pool, &(tandem_options){.threads = 1, .processes = 1}) != 0) return 1;
    int failed = chat(pool);
    return tandem_pool_destroy(pool) != 0 ? 1 : failed;
}
