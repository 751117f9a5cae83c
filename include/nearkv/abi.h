/* nearkv/abi.h - sizes of structs, for bindings that write the structs down by hand.
 *
 * A program in C needs none of this.  One that describes structs in another language (ctypes, cffi,
 * …) has nothing that tells it of a library of another version: it compares sizes before its first
 * call.
 *
 * Threads  [any]. */
#ifndef NEARKV_ABI_H
#define NEARKV_ABI_H

#include <nearkv/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a public struct as this library was compiled, by its name ("nkv_item"); 0: it has none
 * of that name.  Since 0.1 */
NKV_API size_t nkv_struct_size(const char *name);

#ifdef __cplusplus
}
#endif
#endif
