/* guarding.c - finds and strikes the guards of a test, and sees that all is whole again. */
#include "guarding.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static struct family family;

/* ---- who is there ---- */

static bool guards_are_there(struct guards *guards)
{
    const struct member *keeper, *zygote;
    family_look(&family);
    if (!family_guards(&family, &keeper, &zygote)) return false;
    *guards = (struct guards){*keeper, *zygote};
    return true;
}

struct guards guards_now(void)
{
    struct guards guards;
    wait_until_within(guards_are_there(&guards), allowed_ms(1000));
    return guards;
}

/* Every worker is the zygote's child, so that after its death the keeper can take it over. */
static bool workers_have_two_guards(struct guards *guards)
{
    if (!guards_are_there(guards)) return false;
    for (size_t i = 0; i < family.count; i++) {
        const struct member *member = &family.members[i];
        if (member_lives(member) && !member_is_guard(member) && member->parent != guards->zygote.pid) return false;
    }
    return true;
}

bool is_gone(const struct member *member)
{
    char state;
    return !member_is_still(member, &state) || state == 'Z';
}

bool is_stopped(const struct member *member)
{
    char state;
    return member_is_still(member, &state) && state == 'T';
}

/* ---- to strike them ---- */

void strike(const struct member *member, int signal) { assert_true(member_signal(member, signal)); }

void put_to_death(const struct member *member)
{
    strike(member, SIGKILL);
    wait_until(is_gone(member));
}

void kill_both(const struct guards *guards)
{
    strike(&guards->keeper, SIGSTOP);
    strike(&guards->zygote, SIGSTOP);
    strike(&guards->keeper, SIGKILL);
    strike(&guards->zygote, SIGKILL);
    wait_until(is_gone(&guards->keeper) && is_gone(&guards->zygote));
}

/* ---- what must hold afterwards ---- */

static void print_family(void)
{
    for (size_t i = 0; i < family.count; i++)
        fprintf(stderr, "%s, process %d, child of %d, %c\n", family.members[i].name, (int)family.members[i].pid,
                (int)family.members[i].parent, family.members[i].state);
}

size_t zombies(void)
{
    size_t count = 0;
    family_look(&family);
    for (size_t i = 0; i < family.count; i++)
        if (!member_lives(&family.members[i])) count++;
    return count;
}

void expect_no_zombies(void)
{
    const int64_t begun = now_ms();
    while (zombies() != 0) {
        if (now_ms() - begun > patience_ms()) {
            print_family();
            fail_msg("zombies stay for %lld ms; this is process %d", (long long)patience_ms(), (int)getpid());
        }
        moment();
    }
}

struct guards guards_of_all(void)
{
    struct guards guards;
    const int64_t begun = now_ms();
    while (!workers_have_two_guards(&guards)) {
        if (now_ms() - begun > patience_ms()) {
            print_family();
            fail_msg("after %lld ms not every worker has two guards", (long long)patience_ms());
        }
        moment();
    }
    return guards;
}

void expect_it_works(tandem_pool *pool)
{
    char word[] = "works";
    tandem_task task = task_of(TANDEM_PROCESS, echo_task, word, 5);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    assert_string_equal(task.output, "works");
    tandem_task_clear(&task);
}

void expect_full_strength(tandem_pool *pool, int workers, struct gate *gate)
{
    tandem_task tasks[16];
    assert_in_range(workers, 1, count_of(tasks));
    *gate = (struct gate){0};
    for (int i = 0; i < workers; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    const int64_t begun = now_ms();
    while (atomic_load(&gate->entered) != workers) {
        if (now_ms() - begun > allowed_ms(1000)) {
            family_look(&family);
            print_family();
            tandem_pool_dump(pool, 2);
            fail_msg("of %d workers only %d are there", workers, atomic_load(&gate->entered));
        }
        moment();
    }
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < workers; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
}
