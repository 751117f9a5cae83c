/* tests/live/kv/scenarios.h - what the handle does anywhere; run on one server, test by test, and
 * on a cluster, one behind the other. */
#ifndef T_LIVE_KV_SCENARIOS_H
#define T_LIVE_KV_SCENARIOS_H

#include "place.h"

/* scenarios_basic.c */
void kv_reads_and_writes(const place *at);
void kv_reads_are_local_until_somebody_writes(const place *at);
void kv_times_to_live(const place *at);
void kv_conditions(const place *at);
void kv_many_keys(const place *at);
void kv_any_bytes(const place *at);
void kv_a_wrong_type_is_an_error(const place *at);
void kv_codecs(const place *at);
void kv_one_item_fails(const place *at);
void kv_closed(const place *at);
void kv_counters(const place *at);

/* scenarios_clear.c */
void kv_clear_is_exact(const place *at);
void kv_clear_many(const place *at);
void kv_clear_can_be_ended(const place *at);
void kv_clear_without_prefix(const place *at);
void kv_count(const place *at);

/* scenarios_tags.c */
void kv_tags(const place *at);
void kv_tags_of_many_keys(const place *at);
void kv_tags_go_on_where_they_were(const place *at);
void kv_tags_are_tidied(const place *at);
void kv_tags_are_listed(const place *at);
void kv_tags_of_large_values(const place *at);

/* scenarios_compute.c */
void kv_computes_once(const place *at);
void kv_computing_fails(const place *at);
void kv_stale_while_computed_anew(const place *at);
void kv_what_was_set_is_fresh(const place *at);
void kv_a_write_outdates_what_is_computed(const place *at);
void kv_computing_in_itself(const place *at);

#endif
