/* guarding.h - what the tests of keeper and zygote share: to find them, to strike them, and to see that all is whole again. */
#ifndef TANDEM_GUARDING_H
#define TANDEM_GUARDING_H

#include "harness.h"

#include "family.h"

struct guards {
    struct member keeper, zygote;
};

struct guards guards_now(void);    /* waits until both are there */
struct guards guards_of_all(void); /* and every worker has both */

bool is_gone(const struct member *member); /* dead, reaped or not */
bool is_stopped(const struct member *member);

void strike(const struct member *member, int signal);
void put_to_death(const struct member *member); /* and waits for it */
void kill_both(const struct guards *guards);    /* at the same moment: neither runs when the first dies */

size_t zombies(void);
void expect_no_zombies(void); /* soon */

void expect_it_works(tandem_pool *pool);
void expect_full_strength(tandem_pool *pool, int workers, struct gate *gate); /* so many tasks at once.  gate: shared; reset here */

#endif
