/* arena_test.c - who has which addresses, against a plain map of them. */
#include "harness.h"

#include "base/arena.h"
#include "dice.h"

#include <errno.h>
#include <string.h>

#define GRAIN ((size_t)TDM_ARENA_GRAIN)
#define BASE  ((uintptr_t)1 << 20)

enum { GRAINS = 600, BLOCKS = GRAINS };

/* What there should be: for each grain of the range the block that has it, or 0; and the blocks. */
struct model {
    struct tdm_arena arena;
    int owner[GRAINS]; /* -1: the arena does not have it */
    struct {
        uintptr_t start;
        size_t grains;
    } blocks[BLOCKS + 1];
    int live;
};

static uintptr_t address(size_t grain) { return BASE + grain * GRAIN; }
static size_t grain_of(uintptr_t at) { return (at - BASE) / GRAIN; }

static void begin(struct model *model)
{
    memset(model, 0, sizeof *model);
    for (size_t i = 0; i < GRAINS; i++) model->owner[i] = -1;
}

static void add(struct model *model, size_t from, size_t to)
{
    assert_int_equal(tdm_arena_add(&model->arena, (struct tdm_extent){address(from), address(to)}), 0);
    for (size_t i = from; i < to; i++) model->owner[i] = 0;
}

static size_t first_fit(const struct model *model, size_t grains)
{
    size_t found = 0;
    for (size_t i = 0; i < GRAINS; i++) {
        found = model->owner[i] == 0 ? found + 1 : 0;
        if (found == grains) return i + 1 - grains;
    }
    return GRAINS;
}

/* The free room around a grain that is free or about to be. */
static struct tdm_extent room_around(const struct model *model, size_t from, size_t to)
{
    while (from > 0 && model->owner[from - 1] == 0) from--;
    while (to < GRAINS && model->owner[to] == 0) to++;
    return (struct tdm_extent){address(from), address(to)};
}

static void expect_extent(struct tdm_extent extent, struct tdm_extent expected)
{
    assert_int_equal(extent.start, expected.start);
    assert_int_equal(extent.end, expected.end);
}

static void take(struct model *model, size_t grains)
{
    struct tdm_extent taken, within;
    size_t expected = first_fit(model, grains);
    int result = tdm_arena_take(&model->arena, grains * GRAIN, &taken, &within);
    assert_int_equal(result, expected == GRAINS ? -ENOSPC : 0);
    if (result != 0) return;
    expect_extent(taken, (struct tdm_extent){address(expected), address(expected + grains)});
    expect_extent(within, room_around(model, expected, expected + grains));
    int number = 1;
    while (model->blocks[number].grains != 0) number++;
    model->blocks[number].start = taken.start;
    model->blocks[number].grains = grains;
    for (size_t i = expected; i < expected + grains; i++) model->owner[i] = number;
    model->live++;
}

static void give(struct model *model, int number)
{
    uintptr_t start = model->blocks[number].start;
    size_t from = grain_of(start), grains = model->blocks[number].grains;
    expect_extent(tdm_arena_leave(&model->arena, start), (struct tdm_extent){start, start + grains * GRAIN});
    assert_int_equal(tdm_arena_leave(&model->arena, start).end, 0);
    assert_false(tdm_arena_holds(&model->arena, start, 1));
    for (size_t i = from; i < from + grains; i++) model->owner[i] = 0;
    expect_extent(tdm_arena_give(&model->arena, start), room_around(model, from, from + grains));
    model->blocks[number].grains = 0;
    model->live--;
}

static void expect_sound(struct model *model, struct dice *dice)
{
    for (int i = 0; i < 8; i++) {
        size_t grain = roll_below(dice, GRAINS), inside = roll_below(dice, (uint32_t)GRAIN),
               size = roll_below(dice, 8 * (uint32_t)GRAIN);
        uintptr_t at = address(grain) + inside;
        int number = model->owner[grain];
        bool held = number > 0 && at + size <= model->blocks[number].start + model->blocks[number].grains * GRAIN;
        assert_true(tdm_arena_holds(&model->arena, at, size) == held);
        bool starts = number > 0 && model->blocks[number].start == at;
        if (!starts) assert_int_equal(tdm_arena_leave(&model->arena, at).end, 0);
    }
    assert_false(tdm_arena_holds(&model->arena, BASE - 1, 1));
    assert_false(tdm_arena_holds(&model->arena, address(GRAINS), 0));
    assert_false(tdm_arena_holds(&model->arena, UINTPTR_MAX, 1));
    assert_false(tdm_arena_holds(&model->arena, 0, SIZE_MAX));
}

static void expect_random_use(uint64_t seed, uint32_t largest)
{
    static struct model model;
    struct dice dice = {seed * 0x9e3779b97f4a7c15u | 1};
    begin(&model);
    add(&model, 50, 150);
    size_t end = 150;
    for (int step = 0; step < 2000; step++) {
        bool grows = step / 300 % 2 == 0; /* it fills and empties by turns */
        if (roll_below(&dice, 100) == 0 && end < GRAINS) {
            size_t more = 1 + roll_below(&dice, 50), gap = roll_below(&dice, 2);
            if (end + gap + more > GRAINS) more = GRAINS - end - gap;
            if (more > 0) add(&model, end + gap, end + gap + more);
            end += gap + more;
        } else if (roll_below(&dice, 8) < (grows ? 6 : 2) || model.live == 0) {
            take(&model, 1 + roll_below(&dice, largest));
        } else {
            int number = 1 + (int)roll_below(&dice, BLOCKS);
            while (model.blocks[number].grains == 0) number = number % BLOCKS + 1;
            give(&model, number);
        }
        expect_sound(&model, &dice);
    }
    for (int number = 1; number <= BLOCKS; number++)
        if (model.blocks[number].grains != 0) give(&model, number);
    take(&model, 100); /* all is one again */
    tdm_arena_clear(&model.arena);
    assert_null(model.arena.root);
}

static void first_fit_and_every_neighbour_as_in_the_model(void)
{
    for (uint64_t seed = 1; seed <= scaled(4000); seed++) expect_random_use(seed, seed % 3 == 0 ? 3 : seed % 3 == 1 ? 20 : 120);
}

static void nothing_fits_into_an_empty_arena(void)
{
    struct tdm_arena arena = {0};
    struct tdm_extent taken, within;
    assert_int_equal(tdm_arena_take(&arena, GRAIN, &taken, &within), -ENOSPC);
    assert_int_equal(tdm_arena_leave(&arena, 0).end, 0);
    assert_false(tdm_arena_holds(&arena, 0, 0));
    tdm_arena_clear(&arena);
}

/* In order, which would make a plain tree a list: by a million steps a block nobody would be done. */
static void blocks_in_order_make_no_list_of_the_tree(void)
{
    const size_t count = full_run() ? 1000000 : 200000;
    struct tdm_arena arena = {0};
    struct tdm_extent taken, within;
    assert_int_equal(tdm_arena_add(&arena, (struct tdm_extent){BASE, address(count)}), 0);
    for (size_t i = 0; i < count; i++) {
        if (tdm_arena_take(&arena, GRAIN, &taken, &within) != 0) fail();
        if (taken.start != address(i)) fail();
    }
    assert_int_equal(tdm_arena_take(&arena, GRAIN, &taken, &within), -ENOSPC);
    for (size_t i = 0; i < count; i += 2) {
        if (tdm_arena_leave(&arena, address(i)).start != address(i)) fail();
        tdm_arena_give(&arena, address(i));
    }
    assert_int_equal(tdm_arena_take(&arena, 2 * GRAIN, &taken, &within), -ENOSPC);
    for (size_t i = 1; i < count; i += 2) {
        if (tdm_arena_leave(&arena, address(i)).start != address(i)) fail();
        tdm_arena_give(&arena, address(i));
    }
    assert_int_equal(tdm_arena_take(&arena, count * GRAIN, &taken, &within), 0);
    tdm_arena_clear(&arena);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(first_fit_and_every_neighbour_as_in_the_model),
        test(nothing_fits_into_an_empty_arena),
        test(blocks_in_order_make_no_list_of_the_tree),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
