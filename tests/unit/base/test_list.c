/* tests/unit/base/test_list.c - the intrusive list. */

#include "base/list.h"

#include <criterion/criterion.h>

#include "support/check.h"

typedef struct item {
    int number;
    nkvi_node node;
} item;

static void push_numbers(nkvi_list *list, item *items, int from, int count)
{
    for (int i = 0; i < count; i++) {
        items[i].number = from + i;
        nkvi_list_push(list, &items[i].node);
    }
}

/* Is the list, forwards and backwards, exactly from .. from+count-1? */
static bool is_run(const nkvi_list *list, int from, int count)
{
    const nkvi_node *node = list->head.next;
    const nkvi_node *back = list->head.prev;

    for (int i = 0; i < count; i++) {
        if (node == &list->head || back == &list->head ||
            NKVI_CONTAINER(node, item, node)->number != from + i ||
            NKVI_CONTAINER(back, item, node)->number != from + count - 1 - i) {
            return false;
        }
        node = node->next;
        back = back->prev;
    }
    return node == &list->head && back == &list->head;
}

Test(base_list, an_empty_list_has_no_first)
{
    nkvi_list list;

    nkvi_list_init(&list);
    cr_assert(nkvi_list_empty(&list));
    cr_assert_null(nkvi_list_first(&list));
    cr_assert_null(nkvi_list_pop(&list));
    cr_assert(is_run(&list, 0, 0));
}

Test(base_list, pop_gives_the_oldest)
{
    nkvi_list list;
    item items[3];

    nkvi_list_init(&list);
    push_numbers(&list, items, 0, 3);
    cr_assert(is_run(&list, 0, 3));
    cr_assert_eq(nkvi_list_first(&list), &items[0].node);
    for (int i = 0; i < 3; i++) {
        nkvi_node *node = nkvi_list_pop(&list);
        cr_assert_eq(NKVI_CONTAINER(node, item, node)->number, i);
        cr_assert_not(nkvi_list_linked(node));
    }
    cr_assert(nkvi_list_empty(&list));
}

Test(base_list, remove_takes_any_node_and_twice_is_harmless)
{
    nkvi_list list;
    item items[3];

    nkvi_list_init(&list);
    push_numbers(&list, items, 0, 3);
    cr_assert(nkvi_list_linked(&items[1].node));
    nkvi_list_remove(&items[1].node);
    nkvi_list_remove(&items[1].node);
    cr_assert_not(nkvi_list_linked(&items[1].node));
    cr_assert_eq(items[0].node.next, &items[2].node);
    cr_assert_eq(items[2].node.prev, &items[0].node);
    nkvi_list_remove(&items[2].node);
    nkvi_list_remove(&items[0].node);
    cr_assert(nkvi_list_empty(&list));
}

Test(base_list, a_node_never_pushed_may_be_removed)
{
    nkvi_node node;

    nkvi_node_init(&node);
    cr_assert_not(nkvi_list_linked(&node));
    nkvi_list_remove(&node);
    cr_assert_not(nkvi_list_linked(&node));
}

Test(base_list, splice_moves_all_behind_the_last)
{
    nkvi_list to, from;
    item a[2], b[3];

    nkvi_list_init(&to);
    nkvi_list_init(&from);
    nkvi_list_splice(&to, &from);
    cr_assert(nkvi_list_empty(&to));

    push_numbers(&to, a, 0, 2);
    push_numbers(&from, b, 2, 3);
    nkvi_list_splice(&to, &from);
    cr_assert(nkvi_list_empty(&from));
    cr_assert(is_run(&to, 0, 5));

    nkvi_list_splice(&to, &from);
    cr_assert(is_run(&to, 0, 5), "an empty one changes nothing");
    nkvi_list_splice(&from, &to);
    cr_assert(is_run(&from, 0, 5), "into an empty one");
    cr_assert(nkvi_list_empty(&to));
}

Test(base_list, random_pushes_and_removes_match_a_plain_array)
{
    enum { COUNT = 40 };
    nkvi_list list;
    item items[COUNT];
    int order[COUNT], len = 0;
    t_rng rng;

    t_rng_init(&rng, t_run_seed());
    nkvi_list_init(&list);
    for (int i = 0; i < COUNT; i++) {
        items[i].number = i;
        nkvi_node_init(&items[i].node);
    }
    for (int round = 0; round < 5000; round++) {
        int pick = (int)t_rng_below(&rng, COUNT);
        if (!nkvi_list_linked(&items[pick].node)) {
            nkvi_list_push(&list, &items[pick].node);
            order[len++] = pick;
        } else {
            int at = 0;
            while (order[at] != pick) {
                at++;
            }
            memmove(order + at, order + at + 1, (size_t)(--len - at) * sizeof order[0]);
            nkvi_list_remove(&items[pick].node);
        }
        int seen = 0;
        for (nkvi_node *node = list.head.next; node != &list.head; node = node->next) {
            cr_assert(seen < len && NKVI_CONTAINER(node, item, node)->number == order[seen],
                      "round %d", round);
            seen++;
        }
        cr_assert_eq(seen, len, "round %d", round);
    }
}
