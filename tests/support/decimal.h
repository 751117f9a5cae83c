/* support/decimal.h - a number as an argument of a command.
 *
 *      t_ctl_ok(ctl, "CLUSTER", "ADDSLOTS", t_decimal_of(slot).text);
 *
 * The text lives until the end of the statement.                                                 */

#ifndef T_SUPPORT_DECIMAL_H
#define T_SUPPORT_DECIMAL_H

#include <stdio.h>

typedef struct t_decimal {
    char text[24];
} t_decimal;

static inline t_decimal t_decimal_of(long long number)
{
    t_decimal decimal;
    (void)snprintf(decimal.text, sizeof decimal.text, "%lld", number);
    return decimal;
}

#endif
