/* unit/core/test_written.c - which keys a replica that has come so far may be asked for. */

#include <criterion/criterion.h>
#include <stdio.h>

#include "core/written.h"

static nkvi_written written;

static void begin(void)
{
    nkvi_written_init(&written, 7);
}

TestSuite(core_written, .init = begin);

Test(core_written, a_key_is_behind_until_the_mark_covers_its_write)
{
    nkv_str key = nkv_cstr("k");
    cr_assert(nkvi_written_since(&written, key, 0), "what was before nobody knows");
    cr_assert(!nkvi_written_since(&written, key, nkvi_written_now(&written)));
    uint64_t before = nkvi_written_now(&written);
    nkvi_written_note(&written, key);
    cr_assert(nkvi_written_since(&written, key, before));
    cr_assert(!nkvi_written_since(&written, key, nkvi_written_now(&written)));
    nkvi_written_note(&written, key);
    cr_assert(nkvi_written_since(&written, key, before + 1), "it was written again");
}

Test(core_written, a_write_to_nobody_knows_what_is_to_all_keys)
{
    uint64_t before = nkvi_written_now(&written);
    nkvi_written_note_all(&written);
    cr_assert(nkvi_written_since(&written, nkv_cstr("a"), before));
    cr_assert(nkvi_written_since(&written, nkv_cstr(""), before));
    cr_assert(!nkvi_written_since(&written, nkv_cstr("a"), nkvi_written_now(&written)));
}

/* Two keys in one cell may only cause more to be asked, never less. */
Test(core_written, no_write_is_forgotten)
{
    enum { KEYS = 20000 };
    uint64_t at[KEYS];
    char name[16];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(name, sizeof name, "k%d", i);
        at[i] = nkvi_written_now(&written);
        nkvi_written_note(&written, nkv_cstr(name));
    }
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(name, sizeof name, "k%d", i);
        cr_assert(nkvi_written_since(&written, nkv_cstr(name), at[i]), "%s", name);
    }
    cr_assert(!nkvi_written_since(&written, nkv_cstr("k1"), nkvi_written_now(&written)));
}
