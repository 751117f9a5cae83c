/* live/client/prometheus.h - a strict reader of the Prometheus text exposition format (0.0.4).
 *
 * Wanted: # HELP and # TYPE once per metric, before its samples and in one group; names and labels
 * of the allowed characters; label values escaped; numbers; no metric of two groups, no sample
 * twice; every line ends with a newline.                                                         */

#ifndef T_LIVE_CLIENT_PROMETHEUS_H
#define T_LIVE_CLIENT_PROMETHEUS_H

#include <stdbool.h>
#include <stddef.h>

/* True if `text` is well-formed; else `why` (at least 200 bytes) says what is wrong and where. */
bool t_prometheus_check(const char *text, char why[200]);

/* Sums the samples of a metric whose labels contain `label` ("" or NULL: any), as in
 * ("nearkv_bypass_total", "reason=\"filtered\""). The number of samples goes to *count.          */
double t_prometheus_sum(const char *text, const char *metric, const char *label, int *count);

#endif
