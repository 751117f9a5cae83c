/* base/list.h - an intrusive list in a ring: O(1) push, pop, remove, without allocating.
 *
 *      head <-> a <-> b <-> c <-> head        an empty list points at itself
 *
 * A node is on at most one list; nkvi_list_remove leaves it unlinked (pointing at itself), so
 * removing twice is harmless and nkvi_list_linked() tells.  Both need a node that was pushed or
 * passed to nkvi_node_init() before.                                                             */
#ifndef NKVI_BASE_LIST_H
#define NKVI_BASE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct nkvi_node {
    struct nkvi_node *prev, *next;
} nkvi_node;

typedef struct nkvi_list {
    nkvi_node head;
} nkvi_list;

/* The struct that `node` is member `member` of. */
#define NKVI_CONTAINER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void nkvi_node_init(nkvi_node *node)
{
    node->prev = node->next = node;
}

static inline void nkvi_list_init(nkvi_list *list)
{
    nkvi_node_init(&list->head);
}

static inline bool nkvi_list_empty(const nkvi_list *list)
{
    return list->head.next == &list->head;
}

static inline bool nkvi_list_linked(const nkvi_node *node)
{
    return node->next != node;
}

static inline void nkvi_list_push(nkvi_list *list, nkvi_node *node)
{
    node->prev = list->head.prev;
    node->next = &list->head;
    list->head.prev->next = node;
    list->head.prev = node;
}

static inline void nkvi_list_remove(nkvi_node *node)
{
    assert(node->prev != NULL && node->next != NULL);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    nkvi_node_init(node);
}

/* The oldest node, or NULL. */
static inline nkvi_node *nkvi_list_first(const nkvi_list *list)
{
    return nkvi_list_empty(list) ? NULL : list->head.next;
}

static inline nkvi_node *nkvi_list_pop(nkvi_list *list)
{
    nkvi_node *node = nkvi_list_first(list);
    if (node != NULL) {
        nkvi_list_remove(node);
    }
    return node;
}

/* Moves all of `from` behind the last of `to`; `from` is empty afterwards. */
static inline void nkvi_list_splice(nkvi_list *to, nkvi_list *from)
{
    if (nkvi_list_empty(from)) {
        return;
    }
    from->head.next->prev = to->head.prev;
    from->head.prev->next = &to->head;
    to->head.prev->next = from->head.next;
    to->head.prev = from->head.prev;
    nkvi_list_init(from);
}

#endif
