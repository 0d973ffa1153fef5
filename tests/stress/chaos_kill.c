/* chaos_kill.c - the thread that kills and stops processes of ours and takes descriptors away, and the log of what it did.
 *
 * Guards are killed one at a time: the next one only when both are there again and some time has passed.  Should both be gone at once
 * all the same, they are left alone from then on, and tasks may end NOT_STARTED. */
#include "chaos.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "family.h"

enum { BETWEEN_GUARDS_MS = 50, STOPPED_MOST = 8, REPLACED_MS = 30000, CALM_EVERY_MS = 8000, GUARD_FDS_MOST = 32 };

#if defined(TANDEM_PORTABLE)
enum { GUARDS_CAN_BE_KILLED = 0 };
#else
enum { GUARDS_CAN_BE_KILLED = 1 };
#endif

/* ---- the log: written before the deed ---- */

enum deed { KILL_WORKER, KILL_STARTING, STOP_WORKER, KILL_KEEPER, KILL_ZYGOTE, STOP_GUARD, TEASE_GUARD, SHORTAGE, CALM, DEEDS };
static const char *const deed_names[DEEDS] = {"workers killed", "starting ones",  "workers stopped",
                                              "keepers killed", "zygotes killed", "guards stopped",
                                              "guards teased",  "shortages",      "calms"};

struct entry {
    enum deed deed;
    int pid;
    uint64_t from_ns, to_ns;
};

static struct {
    pthread_mutex_t lock;
    struct entry *entries; /* in order of from_ns */
    size_t count, room;
    size_t deeds[DEEDS];
    uint64_t longest_recovery_ms;
    atomic_int guards_lost;
} history = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note(enum deed deed, int pid)
{
    uint64_t now = now_ns();
    pthread_mutex_lock(&history.lock);
    if (history.count == history.room) {
        history.room = history.room != 0 ? 2 * history.room : 1024;
        history.entries = realloc(history.entries, history.room * sizeof *history.entries);
        if (history.entries == NULL) abort();
    }
    history.entries[history.count++] = (struct entry){deed, pid, now, deed == SHORTAGE ? UINT64_MAX : now};
    history.deeds[deed]++;
    pthread_mutex_unlock(&history.lock);
}

static void note_end_of_shortage(void)
{
    pthread_mutex_lock(&history.lock);
    history.entries[history.count - 1].to_ns = now_ns();
    pthread_mutex_unlock(&history.lock);
}

static size_t find(uint64_t from_ns, uint64_t to_ns, bool (*meant)(const struct entry *entry, int pid), int pid)
{
    size_t found = 0;
    pthread_mutex_lock(&history.lock);
    for (size_t i = history.count; i > 0; i--) {
        const struct entry *entry = &history.entries[i - 1];
        if (entry->from_ns + (uint64_t)60000000000 < from_ns) break; /* nothing that lasts is that old */
        if (entry->from_ns <= to_ns && entry->to_ns >= from_ns && meant(entry, pid)) found++;
    }
    pthread_mutex_unlock(&history.lock);
    return found;
}

static bool is_kill_of(const struct entry *entry, int pid)
{
    return entry->pid == pid && entry->deed != STOP_WORKER && entry->deed != STOP_GUARD && entry->deed != TEASE_GUARD;
}

static bool prevents_a_start(const struct entry *entry, int pid)
{
    (void)pid;
    return entry->deed == SHORTAGE || entry->deed == KILL_STARTING;
}

static bool is_kill_of_guard(const struct entry *entry, int pid)
{
    (void)pid;
    return entry->deed == KILL_KEEPER || entry->deed == KILL_ZYGOTE;
}

bool was_killed(int pid, uint64_t from_ns, uint64_t to_ns) { return find(from_ns, to_ns, is_kill_of, pid) > 0; }
bool may_lack_workers(uint64_t from_ns, uint64_t to_ns) { return find(from_ns, to_ns, prevents_a_start, 0) > 0; }
size_t guards_killed(uint64_t from_ns, uint64_t to_ns) { return find(from_ns, to_ns, is_kill_of_guard, 0); }
bool guards_lost(void) { return atomic_load(&history.guards_lost) != 0; }

/* Not a loss, but it should not come from what is done here: what was done last, for whoever asks why. */
static void tell_that_guards_are_lost(void)
{
    if (atomic_exchange(&history.guards_lost, 1) != 0) return;
    uint64_t now = now_ns();
    fprintf(stderr, "both guards are gone; before that:");
    pthread_mutex_lock(&history.lock);
    for (size_t i = history.count > 30 ? history.count - 30 : 0; i < history.count; i++) {
        const struct entry *entry = &history.entries[i];
        if (entry->deed == KILL_WORKER || entry->deed == STOP_WORKER) continue;
        fprintf(stderr, " %.3f s %s %d;", (double)(now - entry->from_ns) / 1e9, deed_names[entry->deed], entry->pid);
    }
    pthread_mutex_unlock(&history.lock);
    fprintf(stderr, "\n");
}

void kills_print(FILE *file)
{
    pthread_mutex_lock(&history.lock);
    for (int i = 0; i < DEEDS; i++) fprintf(file, "%s%zu %s", i > 0 ? ", " : "", history.deeds[i], deed_names[i]);
    fprintf(file, ", longest recovery %llu ms%s", (unsigned long long)history.longest_recovery_ms,
            guards_lost() ? ", BOTH GUARDS LOST" : "");
    pthread_mutex_unlock(&history.lock);
}

/* ---- the killer ---- */

static struct {
    pthread_t thread;
    atomic_int end;
    struct dice dice;
    struct family family;
    int64_t guards_touched_ms, calm_ms;
    struct member keeper, zygote; /* as they were seen last, and since when */
    int64_t paired_ms;
    struct member condemned; /* the guard that was killed last; dying takes time, too */
    struct stopped {
        struct member member;
        int64_t since_ms, until_ms; /* until 0: the library is to deal with it */
    } stopped[STOPPED_MOST];
} killer;

static struct stopped *free_place(void)
{
    for (size_t i = 0; i < STOPPED_MOST; i++)
        if (killer.stopped[i].member.pid == 0) return &killer.stopped[i];
    return NULL;
}

static bool is_stopped_by_us(const struct member *member)
{
    for (size_t i = 0; i < STOPPED_MOST; i++)
        if (killer.stopped[i].member.pid == member->pid && killer.stopped[i].member.born == member->born) return true;
    return false;
}

static void stop(const struct member *member, enum deed deed, uint32_t most_ms)
{
    struct stopped *place = free_place();
    if (place == NULL) return;
    note(deed, member->pid);
    if (!member_signal(member, SIGSTOP)) return;
    *place = (struct stopped){.member = *member, .since_ms = now_ms()};
    if (most_ms != 0) place->until_ms = place->since_ms + roll_between(&killer.dice, 1, most_ms);
}

/* The library is to wake or replace it, if there is something for it to do: a keeper may have nothing. */
static void expect_not_too_long(const struct stopped *stopped)
{
    const int64_t limit_ms = REPLACED_MS * (int64_t)slowness();
    if (strcmp(stopped->member.name, KEEPER) == 0 || now_ms() - stopped->since_ms < limit_ms) return;
    loss("a guard, %s %d, has been stopped for %lld s", stopped->member.name, (int)stopped->member.pid, (long long)limit_ms / 1000);
    member_signal(&stopped->member, SIGCONT);
}

static void continue_some(bool all)
{
    for (size_t i = 0; i < STOPPED_MOST; i++) {
        struct stopped *stopped = &killer.stopped[i];
        char state;
        if (stopped->member.pid == 0) continue;
        bool library = stopped->until_ms == 0;
        bool due = library ? all && strcmp(stopped->member.name, KEEPER) == 0 : all || stopped->until_ms <= now_ms();
        if (due && member_is_still(&stopped->member, &state) && !member_signal(&stopped->member, SIGCONT)) continue;
        bool gone = !member_is_still(&stopped->member, &state) || state == 'Z';
        bool woken = library && !gone && state != 'T' && now_ms() - stopped->since_ms > 500; /* a stop takes a moment */
        if (library && !gone && !woken && !due) expect_not_too_long(stopped);
        if (due || gone || woken) *stopped = (struct stopped){0};
    }
}

static bool is_any_stopped(void)
{
    for (size_t i = 0; i < STOPPED_MOST; i++)
        if (killer.stopped[i].member.pid != 0) return true;
    return false;
}

static const struct member *some_worker(void)
{
    const struct member *workers[count_of(killer.family.members)];
    uint32_t count = 0;
    for (size_t i = 0; i < killer.family.count; i++)
        if (member_lives(&killer.family.members[i]) && !member_is_guard(&killer.family.members[i]))
            workers[count++] = &killer.family.members[i];
    return count > 0 ? workers[roll_below(&killer.dice, count)] : NULL;
}

/* One that has done nothing yet is spared mostly: three such deaths in a row are a reason to give up. */
static void kill_worker(void)
{
    const struct member *worker = some_worker();
    if (worker == NULL) return;
    bool starting = !has_worked(worker->pid, worker->born);
    if (starting && !chance(&killer.dice, 3)) return;
    note(starting ? KILL_STARTING : KILL_WORKER, worker->pid);
    member_signal(worker, SIGKILL);
}

static void stop_worker(void)
{
    const struct member *worker = some_worker();
    if (worker != NULL && !is_stopped_by_us(worker)) stop(worker, STOP_WORKER, chance(&killer.dice, 10) ? 2500 : 100);
}

static void run_short(void)
{
    struct rlimit limit, low;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    low = limit;
    low.rlim_cur = 8 + roll_below(&killer.dice, (uint32_t)entries_in("/proc/self/fd"));
    note(SHORTAGE, 0);
    setrlimit(RLIMIT_NOFILE, &low);
    pass_ms(roll_below(&killer.dice, 15));
    setrlimit(RLIMIT_NOFILE, &limit);
    note_end_of_shortage();
}

static void kill_guard(const struct member *guard, enum deed deed)
{
    note(deed, guard->pid);
    killer.condemned = *guard;
    killer.guards_touched_ms = now_ms();
    member_signal(guard, SIGKILL);
}

/* May a guard be killed at all? */
static bool is_time_for_guards(void)
{
    char state;
    if (!GUARDS_CAN_BE_KILLED || guards_lost()) return false;
    if (now_ms() - killer.guards_touched_ms < BETWEEN_GUARDS_MS) return false;
    if (killer.condemned.pid == 0 || !member_is_still(&killer.condemned, &state) || state == 'Z') return true;
    killer.guards_touched_ms = now_ms(); /* it is from its end that the time counts */
    return false;
}

/* Both, if they have been these two for long enough to know of each other.  One that was killed may look alive for some time. */
static bool guards_are_paired(const struct member **keeper, const struct member **zygote)
{
    bool both = family_guards(&killer.family, keeper, zygote);
    if (!both || (*keeper)->pid == killer.condemned.pid || (*zygote)->pid == killer.condemned.pid) {
        killer.keeper.pid = 0;
        return false;
    }
    if ((*keeper)->pid != killer.keeper.pid || (*zygote)->pid != killer.zygote.pid) killer.paired_ms = now_ms();
    killer.keeper = **keeper;
    killer.zygote = **zygote;
    return now_ms() - killer.paired_ms >= BETWEEN_GUARDS_MS * slowness();
}

/* The keeper is stopped: now is the time to need it. */
static void kill_zygote_of_stopped_keeper(const struct member *keeper, const struct member *zygote)
{
    if (keeper->state != 'T' || zygote->state == 'T' || !is_stopped_by_us(keeper) || !chance(&killer.dice, 20)) return;
    kill_guard(zygote, KILL_ZYGOTE);
}

static void hurt_guard(const struct member *keeper, const struct member *zygote)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    if (!is_time_for_guards()) return;
    if (keeper->state == 'T' || zygote->state == 'T' || is_stopped_by_us(keeper) || is_stopped_by_us(zygote)) {
        kill_zygote_of_stopped_keeper(keeper, zygote);
        return;
    }
    bool first = chance(&killer.dice, 50);
    const struct member *one = first ? keeper : zygote;
    uint32_t number = roll_below(&killer.dice, 100);
    if (number < 30) {
        note(TEASE_GUARD, one->pid);
        member_signal(one, ignored[roll_below(&killer.dice, count_of(ignored))]);
        return;
    }
    if (number < 35) {
        killer.guards_touched_ms = now_ms();
        stop(one, STOP_GUARD, chance(&killer.dice, 50) ? 500 : 0);
        return;
    }
    kill_guard(one, first ? KILL_KEEPER : KILL_ZYGOTE);
    if (chance(&killer.dice, 15)) run_short(); /* the other one has a descriptor to send just now */
}

static bool any_guard(void)
{
    for (size_t i = 0; i < killer.family.count; i++)
        if (member_lives(&killer.family.members[i]) && member_is_guard(&killer.family.members[i])) return true;
    return false;
}

/* ---- calm: all must be whole again ---- */

static void expect_guards(void)
{
    const struct member *keeper, *zygote;
    const int64_t begun = now_ms();
    while (family_look(&killer.family), !family_guards(&killer.family, &keeper, &zygote)) {
        if (!any_guard()) tell_that_guards_are_lost();
        if (guards_lost() || !GUARDS_CAN_BE_KILLED) return;
        if (now_ms() - begun > patience_ms()) {
            loss("there are not two guards again after %lld ms", (long long)patience_ms());
            return;
        }
        pass_ms(5);
    }
    uint64_t took = (uint64_t)(now_ms() - begun);
    pthread_mutex_lock(&history.lock);
    if (took > history.longest_recovery_ms) history.longest_recovery_ms = took;
    pthread_mutex_unlock(&history.lock);
    for (int i = 0; i < 2; i++) {
        char folder[64];
        snprintf(folder, sizeof folder, "/proc/%d/fd", (int)(i == 0 ? keeper : zygote)->pid);
        size_t fds = entries_in(folder);
        if (fds > GUARD_FDS_MOST) loss("%s holds %zu descriptors", i == 0 ? KEEPER : ZYGOTE, fds);
    }
}

/* Who is a zombie now must not be one for long. */
static void expect_no_old_zombies(void)
{
    static struct family now;
    family_look(&now);
    const int64_t begun = now_ms();
    for (size_t i = 0; i < now.count; i++) {
        char state;
        if (member_lives(&now.members[i])) continue;
        if (sanitized() && now.members[i].parent == getpid()) continue; /* a sanitizer has a helper */
        while (member_is_still(&now.members[i], &state)) {
            if (now_ms() - begun > patience_ms()) {
                loss("%d (%s), child of %d, stays a zombie", (int)now.members[i].pid, now.members[i].name,
                     (int)now.members[i].parent);
                return;
            }
            pass_ms(5);
        }
    }
}

static void calm_down(void)
{
    note(CALM, 0);
    continue_some(true);
    while (is_any_stopped()) {
        pass_ms(20);
        continue_some(false);
    }
    expect_guards();
    expect_no_old_zombies();
    killer.calm_ms = now_ms();
}

/* ---- its life ---- */

static void act(void)
{
    const struct member *keeper, *zygote;
    bool paired = guards_are_paired(&keeper, &zygote); /* asked each time, so that a change in between is seen */
    uint32_t number = roll_below(&killer.dice, 100);
    if (number < 50)
        kill_worker();
    else if (number < 58)
        stop_worker();
    else if (number < 75 && paired)
        hurt_guard(keeper, zygote);
    else if (number >= 75 && number < 77)
        run_short();
}

static void *kill_on(void *argument)
{
    (void)argument;
    killer.calm_ms = now_ms();
    while (!atomic_load(&killer.end)) {
        pass_ms(1 + roll_below(&killer.dice, 20));
        continue_some(false);
        family_look(&killer.family);
        if (!any_guard() && GUARDS_CAN_BE_KILLED) tell_that_guards_are_lost();
        act();
        if (now_ms() - killer.calm_ms > CALM_EVERY_MS) calm_down();
    }
    calm_down();
    return NULL;
}

void kills_begin(void)
{
    killer.dice = dice_of(1000);
    if (pthread_create(&killer.thread, NULL, kill_on, NULL) != 0) abort();
}

void kills_end(void)
{
    atomic_store(&killer.end, 1);
    pthread_join(killer.thread, NULL);
}
