/* cli/json_out.h - answers as JSON.
 *
 *      string, status, verbatim   a string; {"b64":"…"} if it is not UTF-8
 *      integer                    a number
 *      double                     a number; "inf", "-inf" and "nan" are strings
 *      boolean, nil               true, false, null
 *      big number                 a string of its digits
 *      array, set, push           an array
 *      map                        an object.  A key that is no string is written as the text of
 *                                 its JSON (1, true, [1,2] …), one that is not UTF-8 as
 *                                 "b64:…".  Should two keys get the same name that way, the map
 *                                 is {"pairs":[[k,v],…]}
 *      error within an answer     {"error":"…"}
 */
#ifndef NKVI_CLI_JSON_OUT_H
#define NKVI_CLI_JSON_OUT_H

#include <nearkv/value.h>

#include "cli/out.h"

/* A JSON string, or {"b64":"…"} if the bytes are not UTF-8. */
void nkvi_json_out_str(nkvi_out *out, nkv_str str);

/* A JSON string from bytes that we wrote ourselves or that an error text holds: what is not UTF-8
 * in it is replaced by '?'.                                                                      */
void nkvi_json_out_text(nkvi_out *out, const char *text);

void nkvi_json_out_double(nkvi_out *out, double number);
void nkvi_json_out_reply(nkvi_out *out, const nkv_reply *reply);

#endif
